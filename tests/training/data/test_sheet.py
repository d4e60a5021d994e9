"""The sheet of training pictures: the very pixels that the network is fed, with targets drawn where they are."""

import numpy as np
import pytest
from PIL import Image

from dermtl.kinds import Mask
from dermtl.training.data.augmentation import Augmentation
from dermtl.training.data.dataset import Examples
from dermtl.training.data.sheet import draw_sheet, write_sheet


def examples(records, size=336, **kinds):
    return Examples(records, kinds, size, augmentation=Augmentation("light", where=""), seed=5)


def test_tiles_are_the_pictures_of_the_epoch(drawn_records):
    some = examples(drawn_records)
    sheet = np.asarray(draw_sheet(some, num=5, epoch=2))
    assert sheet.shape == (2 * 340 - 4, 4 * 340 - 4, 3)
    wanted = np.linspace(0, len(some) - 1, 5).round().astype(int).tolist()
    for number, index in enumerate(wanted):
        row, column = divmod(number, 4)
        tile = sheet[row * 340 : row * 340 + 336, column * 340 : column * 340 + 336]
        assert np.array_equal(tile, some[2, index].image)


def test_a_mask_is_drawn_onto_the_lesion_of_the_augmented_picture(drawn_records):
    """Pixels of the target change, all others stay."""
    some = examples(drawn_records, outline=Mask(("lesion",), "mask"))
    plain, target = some[0, 0].image.astype(int), some[0, 0].targets["outline"] > 0
    changed = np.abs(np.asarray(draw_sheet(some, num=1), int) - plain).sum(axis=2) > 0
    assert changed[target].mean() > 0.95
    assert not changed[~target].any()


@pytest.mark.parametrize(("num", "shape"), [(1, (336, 336)), (3, (336, 1016)), (99, (2036, 1356))])
def test_a_sheet_is_as_large_as_it_needs(drawn_records, tmp_path, num, shape):
    write_sheet(tmp_path / "s.jpg", examples(drawn_records, size=48), num=num)
    assert np.asarray(Image.open(tmp_path / "s.jpg")).shape[:2] == shape
