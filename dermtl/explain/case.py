"""One picture explained: its probability, and the maps of every method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from dermtl.arrays import Array
from dermtl.errors import ConfigError
from dermtl.explain.heat import crop, picture_mask
from dermtl.explain.methods import METHODS
from dermtl.explain.sanity import CheckedPicture, Sanity, check_methods
from dermtl.explain.scan import boxed_picture
from dermtl.explain.score import Score, explainable, primary_output
from dermtl.kinds import Record
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import TrainedRun

_NUM_CHECKED = 4  # pictures that the sanity check is made on


@dataclass(frozen=True)
class Case:
    """A picture and its explanation, without the name of its file.

    Attributes:
        name: ``case-01`` and so on, since file names may hold names of people.
        picture: uint8 [h, w, 3], as the network sees it, without padding.
        explained: The class, tag or node whose probability is explained.
        probability: Probability of this class, tag or node.
        maps: Method to float32 [h, w], at least 0.
        truth: The true classes or tags; empty if unknown.
        loss: Minus the log of the probability of the truth; None if unknown.
    """

    name: str
    picture: Array
    explained: str
    probability: float
    maps: Mapping[str, Array] = field(repr=False)
    truth: str = ""
    loss: float | None = None


def explain_cases(
    run: TrainedRun,
    plan: HeadPlan,
    records: Sequence[Record],
    methods: Sequence[str],
    *,
    of: str | None = None,
    truths: Sequence[tuple[str, float]] = (),
) -> tuple[list[Case], dict[str, Sanity]]:
    """Explain pictures, and check the methods on the first of them.

    Args:
        run: The network, in eval mode.
        plan: A head with classes or tags.
        records: The pictures; need no annotation.
        methods: Names in :data:`~dermtl.explain.methods.METHODS`.
        of: The class, tag or node to explain; default: the likeliest class or tag of each picture.
        truths: Truth and loss of every picture; empty if unknown.

    Returns:
        The cases, with the maps of methods that passed the sanity check; and the outcome of the check by method.

    Raises:
        ConfigError: The head knows no such class, tag or node, or a method cannot be used with this backbone.
    """
    known, (output, names) = explainable(plan), primary_output(plan)
    if of is not None and of not in known:
        raise ConfigError(f"head {plan.name!r} has no {of!r}", hint=f"it has {', '.join(known)}")
    cases: list[Case] = []
    checked: list[CheckedPicture] = []
    for index, record in enumerate(records):
        boxed, letterbox = boxed_picture(record, run.experiment.backbone.image_size)
        image = torch.from_numpy(boxed.copy()).permute(2, 0, 1)[None].float()
        score = Score(run.network, run.decisions.temperatures, *(known[of] if of else (output, 0)))
        score = score if of else score.likeliest(image)
        with torch.no_grad():
            probability = float(score(image).exp())
        maps = {method: METHODS[method](score, image) for method in methods}
        if len(checked) < _NUM_CHECKED:
            checked.append(CheckedPicture(image, score, maps, picture_mask(letterbox)))
        truth, loss = truths[index] if truths else ("", None)
        shown = {method: crop(values, letterbox) for method, values in maps.items()}
        name, explained = f"case-{index + 1:02d}", of or names[score.index]
        cases.append(Case(name, crop(boxed, letterbox), explained, probability, shown, truth, loss))
    checks = check_methods(run, {method: METHODS[method] for method in methods}, checked)
    passed = {method for method, check in checks.items() if check.passed}
    return [replace(case, maps={m: case.maps[m] for m in methods if m in passed}) for case in cases], checks
