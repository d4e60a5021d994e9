"""The keys under ``training`` of an experiment file."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dermtl.config.section import Section, Share

_EMA = 0.99  # an average over about the last hundred steps


class Stage(Section):
    """One stage of training: what trains, for how long, how fast."""

    train: str = Field(
        "all",
        pattern=r"^(head|all|auto|last:[1-9][0-9]*|from:.+)$",
        description="Layers that train besides the heads: head (none), last:k (the last k groups of the backbone), "
        "from:<group> (this group and all after it), all; auto: first the heads alone, then everything, and the better "
        "of the two on the validation records is kept.",
    )
    epochs: int = Field(ge=1, description="Number of epochs.")
    unfreeze_epochs: int | None = Field(
        None,
        ge=1,
        description="Gradual unfreezing: begin with the heads and unfreeze one more group of the backbone every this "
        "many epochs, from the output towards the input, up to the groups in train; default: all at once.",
    )
    views: int | None = Field(
        None,
        ge=1,
        description="Number of augmented pictures per record, which then repeat, so that the features of a frozen "
        "backbone can be cached; default: a new picture in every epoch.",
    )
    image_size: int | None = Field(
        None,
        ge=32,
        description="Side in pixels of the pictures that this stage trains on, at most backbone.image_size, which is "
        "the default and the size of validation; smaller pictures cost less.",
    )
    norms: Literal["train", "frozen"] = Field(
        "train",
        description="frozen: BatchNorm layers of the backbone keep their pretrained running statistics; their scale "
        "and shift train with their group.",
    )
    lr: float = Field(1e-3, gt=0, description="Learning rate of the heads, and of the backbone without backbone_lr.")
    head_lrs: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Learning rates of single heads, by name, in place of lr."
    )
    backbone_lr: float | None = Field(
        None,
        gt=0,
        description="Learning rate of the backbone, times layer_decay per group towards the input; default: lr.",
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Factor on the backbone's learning rate per group from the output towards the input.",
    )
    optimizer: str = Field("adamw", description="Name of an optimiser in timm.")
    optimizer_options: dict[str, Any] = Field(
        {}, description="Further arguments of the optimiser, such as momentum or eps."
    )
    schedule: str = Field(
        "cosine", description="Name of a learning-rate schedule in timm, or constant; both allow a warm-up."
    )
    schedule_options: dict[str, Any] = Field(
        {}, description="Further arguments of the schedule, such as decay_epochs or min_lr."
    )
    warmup_epochs: float = Field(0.0, ge=0, description="Epochs in which the learning rate rises to its full value.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay; biases and norms have none.")


class EarlyStopping(Section):
    """End a stage if the metric in ``select.by`` has not improved within the stage for ``patience`` epochs."""

    patience: int = Field(8, ge=1, description="Number of epochs without improvement after which a stage ends.")
    min_delta: float = Field(0.0, ge=0, description="Smallest change that counts as an improvement.")


class Select(Section):
    """Which weights become the best weights of the run."""

    by: str = Field(
        "last",
        pattern=r"^(val\.loss|last|-?[a-z][a-z0-9_]*\..+)$",
        description="How the best epoch is selected: last (the last epoch of each stage), val.loss (the lowest "
        "validation loss), <head>.<metric> (the highest value) or -<head>.<metric> (the lowest value).",
    )
    average: Literal["none", "ema", "soup"] = Field(
        "none",
        description="ema: validate and store an exponential moving average of the weights; soup: at the end, store the "
        "mean of those epochs of the last stage that improve it on the validation records.",
    )


class Mix(Section):
    """Mixup and cutmix: blend the pictures and classes of a batch; for heads with classes only."""

    mixup: float = Field(0.0, ge=0, description="Alpha of mixup's beta distribution; 0: no mixup.")
    cutmix: float = Field(0.0, ge=0, description="Alpha of cutmix's beta distribution; 0: no cutmix.")
    share: Share = Field(1.0, description="Share of the batches that are mixed.")

    @model_validator(mode="after")
    def _some(self) -> "Mix":
        if not self.mixup and not self.cutmix:
            raise ValueError("give mixup or cutmix an alpha above 0, or leave mix out")
        return self


class Training(Section):
    """The stages, and the settings that they share."""

    stages: list[Stage] = Field(min_length=1, description="Stages of training, one after the other.")
    batch_size: int = Field(16, ge=1, description="Number of records per step, over all processes and parts.")
    accumulate: int = Field(
        1,
        ge=1,
        description="Number of parts in which each batch is computed, one after the other (gradient accumulation), to "
        "save memory.",
    )
    seed: int = Field(0, description="Seed of everything random: weights, order, augmentation, dropout.")
    workers: int = Field(2, ge=0, description="Number of processes that decode and augment.")
    sampler: Literal["shuffled", "balanced"] = Field(
        "shuffled", description="balanced: draw the classes of the first category head equally often."
    )
    cache: Literal["off", "ram", "disk"] = Field(
        "ram", description="Where letterboxed pictures are stored after they were first decoded."
    )
    feature_cache_mb: int = Field(
        2000,
        ge=0,
        description="Memory in MB for the features of a frozen backbone whose pictures repeat; 0: do not cache them.",
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="Precision of training steps; validation computes in 32 bits."
    )
    accelerator: str = Field("auto", description="Device that trains: auto, cpu, cuda or mps.")
    shard: bool = Field(
        False,
        description="Spread weights, gradients and the optimiser's state over the processes (FSDP2), for backbones "
        "that one device cannot hold.",
    )
    augmentation: str | list[dict[str, Any]] = Field(
        "default",
        description="A preset (default, strong, light, none) or albumentations: [{HorizontalFlip: {p: 0.5}}].",
    )
    clip_grad: float | None = Field(1.0, gt=0, description="Largest norm of the gradient; null: no clipping.")
    early_stopping: EarlyStopping | None = Field(None, description="When a stage ends early; null: never.")
    select: Select = Field(Select(), description="Which weights become the best weights of the run.")
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Decay per step of the exponential moving average of the weights; switches select.average to ema, "
        "whose default is 0.99.",
    )
    mix: Mix | None = Field(None, description="Mixup and cutmix; null: neither.")
    loss_weighting: Literal["fixed", "uncertainty"] = Field(
        "fixed",
        description="uncertainty: learn a weight for each head in addition to its loss_weight (Kendall et al. 2018).",
    )
    trackers: list[str] = Field(
        [], description="Installed trackers that receive every epoch, such as tensorboard or mlflow."
    )

    @model_validator(mode="after")
    def _one_average(self) -> "Training":
        if self.ema is not None and self.select.average == "soup":
            raise ValueError("give ema or select.average: soup")
        return self

    @property
    def ema_decay(self) -> float | None:
        """Decay per step of the moving average of the weights; None if there is none."""
        return self.ema or (_EMA if self.select.average == "ema" else None)
