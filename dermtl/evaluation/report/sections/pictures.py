"""Some pictures with everything that was predicted drawn onto them."""

from dataclasses import dataclass

from dermtl.evaluation.report.context import Context
from dermtl.evaluation.report.plots import photograph
from dermtl.imaging.decode import read_image
from dermtl.kinds import Record
from dermtl.runtime.prediction import Prediction
from dermtl.statistics.spread import spread

_PICTURES = 8


@dataclass(frozen=True)
class Shown:
    """A picture.

    Attributes:
        image: Name of the picture in the table.
        truth: The annotations that read as text.
        url: The drawing.
    """

    image: str
    truth: str
    url: str


def view(context: Context) -> list[Shown]:
    """Pictures evenly spread over the split, not chosen; none where the model is not at hand."""
    if context.predict is None:
        return []
    kinds = {name: kind for plan in context.plans.values() for name, kind in plan.outputs.items()}
    chosen = spread(context.records, _PICTURES)
    shown = []
    for record, values in zip(chosen, context.predict(chosen), strict=True):
        image = read_image(record.path)
        height, width = image.shape[:2]
        drawn = Prediction((height, width), values, kinds).draw(image)
        shown.append(Shown(record.image, _truth(context, record), photograph(drawn)))
    return shown


def _truth(context: Context, record: Record) -> str:
    texts = []
    for name, plan in context.plans.items():
        column = getattr(plan.target, "column", "")
        if column and not plan.target.spatial and record.cells.get(column, "").strip():
            texts.append(f"{name}: {record.cells[column].strip()}")
    return ", ".join(texts)
