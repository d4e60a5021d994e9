"""The keys of an experiment file, except the keys of heads and of ``training``.

The keys of a head belong to its plugin: they are stored unchecked here, and :mod:`dermtl.plugins.plan` checks them
against the plugin's config.
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
    """How records are split: by a column, by a file, or by group, stratified by class, into fractions or folds."""

    column: str | None = Field(None, description="Manifest column that holds train, val or test.")
    file: Path | None = Field(None, description="A splits.csv to use, as dermtl data split or a run writes it.")
    train: Share = Field(0.7, description="Share of the records for training.")
    val: Share = Field(0.15, description="Share of the records for validation.")
    test: Share = Field(0.15, description="Share of the records for testing.")
    folds: int | None = Field(
        None, ge=3, description="Number of folds, in place of shares: one is for testing, the next one for validation."
    )
    fold: int = Field(0, ge=0, description="Index of the fold for testing.")
    stratify: str | None = Field(
        None, description="Column whose values have equal shares in every split; default: the first category head's."
    )
    seed: int = Field(0, description="Seed of the split.")

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
    """The images and their table. Relative paths start at the working directory."""

    root: Path = Field(Path(), description="Folder that the manifest's paths are relative to.")
    manifest: str = Field("manifest.csv", description="CSV inside root, or a folder of class folders.")
    image: str = Field("image", description="Column with the image's path.")
    group: Annotated[list[str] | None, BeforeValidator(_as_list)] = Field(
        None,
        description="Columns whose equal values stay in one split; default: patient_id, lesion_id, group and the like.",
    )
    missing: list[str] = Field(
        list(MISSING), description="Words that count as an empty cell, in upper or lower case; []: none."
    )
    split: Split = Field(Split(), description="How records are split into training, validation and test.")
    copies: bool = Field(
        True, description="Find copies of one picture, also rotated or mirrored ones, and keep them in one split."
    )
    allow_leakage: bool = Field(
        False, description="Train although a group or copies are in several splits; the run records it."
    )


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
    lora: "Lora | None" = Field(
        None, description="Low-rank additions that train in place of the backbone's weights; null: none."
    )


class Lora(Section):
    """Low-rank additions to layers of the backbone (Hu et al. 2021), merged into its weights before export."""

    rank: int = Field(8, ge=1, description="Rank of the additions.")
    alpha: int = Field(16, ge=1, description="The addition is scaled by alpha / rank.")
    layers: list[str] = Field(
        min_length=1, description="Ends of the names of the layers to extend, such as qkv, proj, fc1, fc2."
    )


class Head(BaseModel):
    """One head: ``type`` names the plugin, the other keys are the plugin's own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = Field(description="Name of an installed head, or distribution:name.")
    loss_weight: float = Field(1.0, gt=0, description="Factor on the loss of this head.")


class Experiment(Section):
    """A whole experiment file."""

    name: Name = Field(description="Name of the experiment; the run's folder is runs/<name> by default.")
    data: Data = Field(Data(), description="Images, table and split.")
    backbone: Backbone = Field(description="Backbone that all heads share.")
    heads: dict[Name, Head] = Field(min_length=1, description="Heads, by name.")
    training: Training = Field(description="Stages, and the settings that they share.")

    @field_validator("heads", mode="before")
    @classmethod
    def _mapping(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for name, head in value.items():
                if not isinstance(head, dict | Head):
                    raise ValueError(f"head {name!r}: expected keys such as type, got {head!r}")  # noqa: TRY004
        return value
