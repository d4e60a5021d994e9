"""The keys under ``training`` of an experiment file."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dermtl.config.section import Section, Share

_EMA = 0.99  # a mean of about the last hundred steps


class Stage(Section):
    """One phase of training: what trains, for how long, how fast."""

    train: str = Field(
        "all",
        pattern=r"^(head|all|auto|last:[1-9][0-9]*|from:.+)$",
        description="head, last:k, from:<group>, all; auto: head, then all, and the better on validation is kept.",
    )
    epochs: int = Field(ge=1)
    unfreeze_epochs: int | None = Field(
        None, ge=1, description="Unfreeze one more group, from the output on, every so many epochs, as far as train."
    )
    views: int | None = Field(
        None,
        ge=1,
        description="Augment each picture in so many ways and then repeat them, so that a frozen backbone needs no "
        "second pass; default: anew in every epoch.",
    )
    image_size: int | None = Field(
        None,
        ge=32,
        description="Side in pixels of the pictures that this stage trains on, at most backbone.image_size, which is "
        "the default and the size of validation; small ones cost less.",
    )
    norms: Literal["train", "frozen"] = Field(
        "train",
        description="frozen: BatchNorm layers of the backbone go on with their pretrained running statistics; their "
        "scale and shift learn with their group.",
    )
    lr: float = Field(1e-3, gt=0, description="Rate of the heads, and where the backbone's rates start from.")
    head_lrs: dict[str, Annotated[float, Field(gt=0)]] = Field({}, description="Rates of single heads, if not lr.")
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
    """End a stage when what ``select.by`` names has not improved within it for ``patience`` epochs."""

    patience: int = Field(8, ge=1)
    min_delta: float = Field(0.0, ge=0, description="Least improvement that counts.")


class Select(Section):
    """Which weights become the run's best ones."""

    by: str = Field(
        "last",
        pattern=r"^(val\.loss|last|-?[a-z][a-z0-9_]*\..+)$",
        description="val.loss: the epoch of the lowest; <head>.<metric>: of the highest; -<head>.<metric>: of the "
        "lowest; last: the last epoch of each stage.",
    )
    average: Literal["none", "ema", "soup"] = Field(
        "none",
        description="ema: validate and keep an exponential moving average of the weights; soup: in the end, the mean "
        "of those epochs of the last stage that improve it on validation.",
    )


class Mix(Section):
    """Blend pictures and classes of a batch; for heads with classes only."""

    mixup: float = Field(0.0, ge=0, description="Alpha of mixup's beta distribution; 0 for none.")
    cutmix: float = Field(0.0, ge=0, description="Alpha of cutmix's beta distribution; 0 for none.")
    share: Share = Field(1.0, description="Share of the batches that are mixed.")

    @model_validator(mode="after")
    def _some(self) -> "Mix":
        if not self.mixup and not self.cutmix:
            raise ValueError("give mixup or cutmix an alpha above 0, or leave mix out")
        return self


class Training(Section):
    """The stages and what they share."""

    stages: list[Stage] = Field(min_length=1)
    batch_size: int = Field(16, ge=1, description="Records a step, over all processes and parts.")
    accumulate: int = Field(
        1, ge=1, description="Compute each batch in so many parts, one after the other, to save memory."
    )
    seed: int = 0
    workers: int = Field(2, ge=0, description="Processes that decode and augment.")
    sampler: Literal["shuffled", "balanced"] = Field(
        "shuffled", description="balanced: draw the classes of the first category head equally often."
    )
    cache: Literal["off", "ram", "disk"] = Field(
        "ram", description="Where letterboxed pictures are kept after epoch 1."
    )
    feature_cache_mb: int = Field(
        2000, ge=0, description="Memory for the features of a frozen backbone whose pictures repeat; 0: none."
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accelerator: str = Field("auto", description="auto, cpu, cuda, mps.")
    shard: bool = Field(
        False,
        description="Spread weights, gradients and the optimiser's state over the processes, for backbones that one "
        "device cannot hold.",
    )
    augmentation: str | list[dict[str, Any]] = Field(
        "default",
        description="A preset (default, strong, light, none) or albumentations: [{HorizontalFlip: {p: 0.5}}].",
    )
    clip_grad: float | None = Field(1.0, gt=0, description="Largest norm of the gradient; null for none.")
    early_stopping: EarlyStopping | None = None
    select: Select = Select()
    ema: float | None = Field(
        None, gt=0, lt=1, description="Decay per step of select.average: ema, which it switches on; default: 0.99."
    )
    mix: Mix | None = None
    loss_weighting: Literal["fixed", "uncertainty"] = Field(
        "fixed", description="uncertainty: learn each head's weight besides its loss_weight (Kendall et al. 2018)."
    )
    trackers: list[str] = Field([], description="Installed trackers that are told every epoch, such as tensorboard.")

    @model_validator(mode="after")
    def _one_average(self) -> "Training":
        if self.ema is not None and self.select.average == "soup":
            raise ValueError("give ema or select.average: soup")
        return self

    @property
    def ema_decay(self) -> float | None:
        """Decay per step of the moving average of the weights; None if there is none."""
        return self.ema or (_EMA if self.select.average == "ema" else None)
