"""What no figure tells of a model and a person must write: the keys of ``card.yaml``."""

import logging
from pathlib import Path

from pydantic import Field

from dermtl.config.load import validate
from dermtl.config.section import Section
from dermtl.config.source import read_source
from dermtl.errors import ConfigError
from dermtl.runtime.bundle import read_bundle

_log = logging.getLogger(__name__)
FILE = "card.yaml"
_CONFIG, _FOLDS = "config.yaml", "folds.json"  # what the folder of a run, and that of a cross-validation, holds


class CardFields(Section):
    """Texts for the report and the model card, which list an empty one as still to be written (``TODO``)."""

    intended_use: str = Field("", description="What the model is for, and in whose hands.")
    out_of_scope: str = Field("", description="What it must not be used for.")
    limits: str = Field("", description="Known limits and risks.")
    population: str = Field("", description="Population of the pictures: places, years, devices, how they were chosen.")
    reference_standard: str = Field("", description="How the truth was found, and by whom.")
    exclusions: str = Field("", description="Which pictures were left out before the table, and why.")
    external_validation: str = Field("", description="Centres other than that of the training it was tried at.")
    licence: str = Field("", description="Licence of the weights and of the data, such as cc-by-nc-4.0.")
    contact: str = Field("", description="Who answers for it.")

    @property
    def filled(self) -> dict[str, str]:
        """Texts that are not empty, by name."""
        return {name: text for name in type(self).model_fields if (text := getattr(self, name).strip())}

    @property
    def missing(self) -> list[str]:
        """Names of the texts that are missing."""
        return [name for name in type(self).model_fields if name not in self.filled]


def read_card_fields(path: Path | None, model: Path | None) -> CardFields:
    """The facts of a model, by one rule for every command.

    They are those of the file that is named. Without one, ``card.yaml`` in the folder of the run, of the
    cross-validation or of the model file is taken; a fold without its own takes that of its cross-validation. Without
    any of these, a model file says what it was exported with. No other folder is looked into: a ``card.yaml`` there is
    somebody else's.

    Args:
        path: The file that is named.
        model: The folder of a run or of a cross-validation, or a model file; None where it is not known.

    Raises:
        ConfigError: The file is missing, or a key is not one of the above.
        BundleError: A model file cannot be read.
    """
    if path is not None and not path.is_file():
        raise ConfigError("no such file", where=str(path), hint=f"keys: {', '.join(CardFields.model_fields)}")
    file = path or (_beside(model) if model is not None else None)
    if file is not None:
        _log.info("card: the texts of %s", file)
        source = read_source(file)
        return validate(CardFields, source.data, source)
    if model is None or model.suffix != ".onnx" or not model.is_file():
        return CardFields()
    card = read_bundle(model).card
    if card:
        _log.info("card: the texts that %s was exported with", model)
    return CardFields(**{name: text for name, text in card.items() if name in CardFields.model_fields})


def evaluated_model(folder: Path) -> Path | None:
    """What was evaluated, by where ``dermtl evaluate`` puts an evaluation: below the model.

    Args:
        folder: The folder of an evaluation, ``RUN/evaluation/test`` or beside ``model.onnx`` ``evaluation/model/test``.

    Returns:
        The run, the cross-validation or the model file; None for a folder that was named by ``--out``.
    """
    above = list(folder.absolute().parents)
    place = next((above[level + 1] for level in (0, 1) if len(above) > 2 and above[level].name == "evaluation"), None)
    if place is None:
        return None
    model = place / f"{above[0].name}.onnx"
    if above[0].name != "evaluation" and model.is_file():
        return model
    return place if any((place / name).is_file() for name in (_CONFIG, _FOLDS)) else None


def _beside(model: Path) -> Path | None:
    folder = model if model.is_dir() else model.parent
    folders = [folder, *([folder.parent] if (folder.parent / _FOLDS).is_file() else [])]
    return next((place / FILE for place in folders if (place / FILE).is_file()), None)
