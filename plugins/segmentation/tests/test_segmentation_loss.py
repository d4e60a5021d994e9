import math

import pytest
import torch
from dermtl_segmentation.loss import cross_entropy, foreground, soft_dice
from torch.nn import functional as F


def _logit(probability):
    return math.log(probability / (1 - probability))


def test_soft_dice_of_one_class_by_hand():
    raw = torch.full((1, 1, 2, 2), _logit(0.75))
    target = torch.tensor([[[1, 0], [0, 0]]])
    # Sum pg = 0.75, sum p = 3, sum g = 1.
    assert soft_dice(raw, target).item() == pytest.approx(1 - (1.5 + 1) / (4 + 1))


def test_soft_dice_is_taken_per_image():
    raw = torch.randn(2, 1, 6, 6)
    target = (torch.rand(2, 6, 6) < 0.3).to(torch.uint8)
    one, other = soft_dice(raw[:1], target[:1]), soft_dice(raw[1:], target[1:])
    torch.testing.assert_close(soft_dice(raw, target), torch.cat([one, other]))


def test_soft_dice_of_several_classes_is_their_mean():
    raw, target = torch.randn(1, 3, 6, 6), torch.randint(0, 3, (1, 6, 6))
    probability = torch.softmax(raw, dim=1)
    by_class = []
    for number in (1, 2):
        p, g = probability[:, number], (target == number).float()
        by_class.append(1 - (2 * (p * g).sum() + 1) / (p.sum() + g.sum() + 1))
    torch.testing.assert_close(soft_dice(raw, target)[0], sum(by_class) / 2)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_cross_entropy_is_binary_for_one_class_only(dtype):
    target = torch.randint(0, 2, (2, 5, 5)).to(dtype)
    one, several = torch.randn(2, 1, 5, 5), torch.randn(2, 3, 5, 5)
    binary = F.binary_cross_entropy_with_logits(one[:, 0], target.float())
    torch.testing.assert_close(cross_entropy(one, target).mean(), binary)
    torch.testing.assert_close(cross_entropy(several, target).mean(), F.cross_entropy(several, target.long()))


@pytest.mark.parametrize("num_logits", [1, 3])
def test_the_truth_has_no_loss_and_an_empty_image_is_no_trouble(num_logits):
    target = torch.randint(0, max(num_logits, 2), (2, 8, 8))
    target[1] = 0
    raw = 100 * F.one_hot(target, max(num_logits, 2)).permute(0, 3, 1, 2).float() - 50
    raw = raw[:, -num_logits:]
    assert cross_entropy(raw, target).max().item() == pytest.approx(0, abs=1e-6)
    assert soft_dice(raw, target).max().item() == pytest.approx(0, abs=1e-6)


def test_half_precision_sums_do_not_overflow():
    raw = torch.full((1, 1, 400, 400), 8.0, dtype=torch.float16)
    assert soft_dice(raw, torch.ones(1, 400, 400, dtype=torch.uint8)).item() == pytest.approx(0, abs=1e-3)


def test_foreground_leaves_the_rest_to_the_background():
    raw = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(foreground(raw).sum(dim=1), 1 - torch.softmax(raw, dim=1)[:, 0])


@pytest.mark.parametrize("num_logits", [1, 3])
def test_ignored_pixels_do_not_count(num_logits):
    """PyTorch's own ignore_index and the counted pixels alone are the witnesses."""
    raw, target = torch.randn(2, num_logits, 6, 6), torch.randint(0, max(num_logits, 2), (2, 6, 6))
    target[0, :2] = 255
    target[1, :, 3:] = 255
    got = cross_entropy(raw, target)
    for row in range(2):
        counted = target[row] != 255
        if num_logits == 1:
            wanted = F.binary_cross_entropy_with_logits(raw[row, 0][counted], target[row][counted].float())
        else:
            wanted = F.cross_entropy(raw[row : row + 1], target[row : row + 1], ignore_index=255)
        torch.testing.assert_close(got[row], wanted)
    torch.testing.assert_close(soft_dice(raw, target)[:1], soft_dice(raw[:1, :, 2:], target[:1, 2:]))
    nothing = torch.full((1, 6, 6), 255)
    assert cross_entropy(raw[:1], nothing).item() == 0
    raw.requires_grad_()
    (cross_entropy(raw, target) + soft_dice(raw, target)).sum().backward()
    assert not raw.grad[0, :, :2].any()
    assert raw.grad[0, :, 2:].any()
