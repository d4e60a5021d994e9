"""Model soup: the mean of the weights of several epochs, each included only if it does not make the mean worse."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import safetensors.torch
from torch import Tensor

NUM_SNAPSHOTS = 5


def greedy_soup(
    snapshots: Sequence[Path], score: Callable[[Mapping[str, Tensor]], float]
) -> tuple[dict[str, Tensor], list[Path], float]:
    """Average weights, one snapshot after the other, as long as the score does not get worse.

    Args:
        snapshots: Files of weights, the best first.
        score: Returns the score of weights on the validation records; lower is better.

    Returns:
        The mean, the snapshots in it and its score.

    Source: Wortsman et al. 2022, Model soups, recipe 1 (greedy soup), on the epochs of one run.
    """
    used = [snapshots[0]]
    soup = safetensors.torch.load_file(snapshots[0])
    best = score(soup)
    for path in snapshots[1:]:
        weights, num = safetensors.torch.load_file(path), len(used)
        candidate = {
            name: value + (weights[name] - value) / (num + 1) if value.is_floating_point() else value
            for name, value in soup.items()
        }
        if (candidate_score := score(candidate)) <= best:
            soup, best = candidate, candidate_score
            used.append(path)
    return soup, used, best
