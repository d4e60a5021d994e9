"""The keys of an experiment file.

A head's own keys belong to its plugin: here they are kept as they were written, and
:mod:`dermtl.plugins.plan` checks them against the plugin's config.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from dermtl.config.missing import MISSING
from dermtl.config.section import Section, Share
from dermtl.config.training import Training

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Split(Section):
    """How records are dealt out: as a column or a file says, or by group, stratified by class: fractions, or folds."""

    column: str | None = Field(None, description="Manifest column that holds train, val or test.")
    file: Path | None = Field(None, description="A splits.csv that says so, as dermtl data split or a run wrote it.")
    train: Share = 0.7
    val: Share = 0.15
    test: Share = 0.15
    folds: int | None = Field(None, ge=3, description="Deal into so many folds instead: one tests, the next validates.")
    fold: int = Field(0, ge=0, description="Which fold tests.")
    stratify: str | None = Field(None, description="Column to balance; default: the first category head's.")
    seed: int = 0

    @model_validator(mode="after")
    def _sum(self) -> "Split":
        if self.column is None and self.file is None and abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError(f"train + val + test must be 1, they sum to {self.train + self.val + self.test:g}")
        if sum(way is not None for way in (self.folds, self.column, self.file)) > 1:
            raise ValueError("give column, file or folds")
        if self.fold and self.fold >= (self.folds or 1):
            raise ValueError(f"fold must be below folds, got {self.fold} of {self.folds}")
        return self


class Data(Section):
    """Where the images and their table lie. Relative paths start at the working directory."""

    root: Path = Field(Path(), description="Folder that the manifest's paths are relative to.")
    manifest: str = Field("manifest.csv", description="CSV inside root, or a folder of class folders.")
    image: str = Field("image", description="Column with the image's path.")
    group: Annotated[list[str] | None, BeforeValidator(_as_list)] = Field(
        None,
        description="Columns whose equal values stay on one side; default: patient_id, lesion_id, group, and the like.",
    )
    missing: list[str] = Field(
        list(MISSING), description="Words that count as an empty cell, in any case; [] for none."
    )
    split: Split = Split()
    copies: bool = Field(True, description="Find copies of one picture, however turned, and keep them on one side.")
    allow_leakage: bool = Field(False, description="Train although a group or copies cross the split; recorded.")


class Backbone(Section):
    """A timm model without its classifier."""

    name: str = Field(description="Any name that timm.create_model knows.")
    pretrained: bool | Path = Field(
        True,
        description="True: timm's weights; a path: a file of weights (safetensors, pth, pt, bin) or the folder of a "
        "run; false: random.",
    )
    image_size: int = Field(224, ge=32, le=2048, description="Side of the letterboxed input in pixels.")
    mean: tuple[float, float, float] | None = Field(
        None,
        description="Mean of the normalisation, in 0..1; default: what the JSON file beside the weights states, else "
        "the model's.",
    )
    std: tuple[float, float, float] | None = Field(
        None, description="Standard deviation of the normalisation, in 0..1; default: like the mean's."
    )
    options: dict[str, Any] = Field({}, description="Further arguments of timm.create_model, such as drop_path_rate.")
    lora: "Lora | None" = Field(None, description="Train low-rank additions instead of the backbone's own weights.")


class Lora(Section):
    """Low-rank additions to layers of the backbone (Hu et al. 2021), merged into its weights before export."""

    rank: int = Field(8, ge=1)
    alpha: int = Field(16, ge=1, description="The addition is scaled by alpha / rank.")
    layers: list[str] = Field(min_length=1, description="Ends of the layers' names, such as qkv, proj, fc1, fc2.")


class Head(BaseModel):
    """One head: ``type`` names the plugin, the other keys are the plugin's own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = Field(description="Name of an installed head, or distribution:name.")
    loss_weight: float = Field(1.0, gt=0)


class Experiment(Section):
    """A whole experiment file."""

    name: Name
    data: Data = Data()
    backbone: Backbone
    heads: dict[Name, Head] = Field(min_length=1)
    training: Training

    @field_validator("heads", mode="before")
    @classmethod
    def _mapping(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for name, head in value.items():
                if not isinstance(head, dict | Head):
                    raise ValueError(f"head {name!r}: expected keys such as type, got {head!r}")  # noqa: TRY004
        return value
