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
_FOLDS = "folds.json"  # what a cross-validation's folder holds


class CardFacts(Section):
    """Texts for the report and the model card. One that is empty is an open TODO."""

    intended_use: str = Field("", description="What the model is for, and in whose hands.")
    out_of_scope: str = Field("", description="What it must not be used for.")
    limits: str = Field("", description="Known limits and risks.")
    population: str = Field("", description="Of whom the pictures are: places, years, devices, how they were chosen.")
    reference_standard: str = Field("", description="How the truth was found, and by whom.")
    exclusions: str = Field("", description="Which pictures were left out before the table, and why.")
    external_validation: str = Field("", description="Centres other than that of the training it was tried at.")
    licence: str = Field("", description="Of the weights and of the data, such as cc-by-nc-4.0.")
    contact: str = Field("", description="Who answers for it.")

    @property
    def told(self) -> dict[str, str]:
        """Those that are not empty."""
        return {name: text for name in type(self).model_fields if (text := getattr(self, name).strip())}

    @property
    def open(self) -> list[str]:
        """Names of the texts that are missing."""
        return [name for name in type(self).model_fields if name not in self.told]


def read_facts(path: Path | None, *beside: Path) -> CardFacts:
    """The facts of a model, by one rule for every command.

    They are those of the file that is named. Without one, ``card.yaml`` in the folder of the run, of the
    cross-validation or of the model file is taken; a fold without its own takes that of its cross-validation. Without
    any of these, a model file says what it was exported with.

    Args:
        path: The file that is named.
        beside: Folders in order of preference; a model file stands for its folder, and then for itself.

    Raises:
        ConfigError: The file is missing, or a key is not one of the above.
        BundleError: A model file cannot be read.
    """
    if path is not None and not path.is_file():
        raise ConfigError("no such file", where=str(path), hint=f"keys: {', '.join(CardFacts.model_fields)}")
    folders = [place if place.is_dir() else place.parent for place in beside]
    folders += [folder.parent for folder in folders if (folder.parent / _FOLDS).is_file()]
    found = path or next((folder / FILE for folder in folders if (folder / FILE).is_file()), None)
    if found is not None:
        _log.info("card: the texts of %s", found)
        source = read_source(found)
        return validate(CardFacts, source.data, source)
    model = next((place for place in beside if place.suffix == ".onnx" and place.is_file()), None)
    card = read_bundle(model).card if model is not None else {}
    return CardFacts(**{name: text for name, text in card.items() if name in CardFacts.model_fields})
