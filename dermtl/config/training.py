"""The keys under ``training`` of an experiment file."""

from typing import Any, Literal

from pydantic import Field

from dermtl.config.section import Section


class Stage(Section):
    """One phase of training: what trains, for how long, how fast."""

    train: str = Field(
        "all",
        pattern=r"^(head|all|last:[1-9][0-9]*|from:.+)$",
        description="head, last:k, from:<group>, all.",
    )
    epochs: int = Field(ge=1)
    lr: float = Field(1e-3, gt=0, description="Rate of the heads, and where the backbone's rates start from.")
    backbone_lr: float | None = Field(
        None, gt=0, description="Where the backbone's rates start from, if not at lr; times layer_decay per group."
    )
    layer_decay: float = Field(1.0, gt=0, le=1, description="Factor on the rate per group towards the input.")
    optimizer: str = Field("adamw", description="Name of an optimiser in timm.")
    optimizer_options: dict[str, Any] = Field({}, description="Its further arguments, such as momentum or eps.")
    schedule: str = Field("cosine", description="Name of a schedule in timm; 'constant' for none.")
    schedule_options: dict[str, Any] = Field({}, description="Its further arguments, such as decay_epochs or min_lr.")
    warmup_epochs: float = Field(0.0, ge=0)
    weight_decay: float = Field(0.01, ge=0, description="Not applied to biases and norms.")


class EarlyStopping(Section):
    """Stop a stage when the validation loss has not fallen for ``patience`` epochs."""

    patience: int = Field(8, ge=1)
    min_delta: float = Field(0.0, ge=0)


class Training(Section):
    """The stages and what they share."""

    stages: list[Stage] = Field(min_length=1)
    batch_size: int = Field(16, ge=1)
    seed: int = 0
    workers: int = Field(2, ge=0, description="Processes that decode and augment.")
    sampler: Literal["shuffled", "balanced"] = Field(
        "shuffled", description="balanced: draw the classes of the first category head equally often."
    )
    cache: Literal["off", "ram", "disk"] = Field(
        "ram", description="Where letterboxed pictures are kept after epoch 1."
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accelerator: str = Field("auto", description="auto, cpu, cuda, mps.")
    augmentation: str | list[dict[str, Any]] = Field(
        "default",
        description="A preset (default, light, none) or a list of albumentations: [{HorizontalFlip: {p: 0.5}}].",
    )
    clip_grad: float | None = Field(1.0, gt=0, description="Largest norm of the gradient; null for none.")
    early_stopping: EarlyStopping | None = EarlyStopping()
    trackers: list[str] = Field([], description="Installed trackers that are told every epoch, such as tensorboard.")
