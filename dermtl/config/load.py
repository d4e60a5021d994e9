"""From a file to a checked model, every problem with its line and column."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from dermtl.config.experiment import Experiment
from dermtl.config.problems import problems
from dermtl.config.source import Key, Source, read_source
from dermtl.config.texts import with_texts
from dermtl.config.weights import read_stated

Model = TypeVar("Model", bound=BaseModel)


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> tuple[Experiment, Source]:
    """Read and check an experiment file.

    A normalisation that is stated beside a file of pretrained weights is taken if the experiment gives none.

    Returns:
        The experiment, and its source for later messages about a head's own keys.

    Raises:
        ConfigError: With one line a problem.
    """
    source = read_source(path, overrides)
    return _with_stated(validate(Experiment, source.data, source)), source


def _with_stated(experiment: Experiment) -> Experiment:
    """The experiment with the normalisation that is stated beside its weights, where it gives none."""
    backbone = experiment.backbone
    if not isinstance(backbone.pretrained, Path):
        return experiment
    stated = read_stated(backbone.pretrained, backbone.name)
    levels = {"mean": backbone.mean or stated.mean, "std": backbone.std or stated.std}
    return experiment.model_copy(update={"backbone": backbone.model_copy(update=levels)})


def validate(model: type[Model], data: Any, source: Source, prefix: Key = ()) -> Model:
    """Check ``data``, which stands under ``prefix`` in ``source``, against a pydantic model.

    A number or a truth value where text is expected, such as a class, is taken as the text that was written.
    """
    try:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            as_text = with_texts(data, error.errors(include_url=False, include_context=False), source, prefix)
            if as_text is None:
                raise
            return model.model_validate(as_text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        known = {(*prefix, *problem["loc"])[:-1]: _fields(model, problem["loc"][:-1]) for problem in found}
        raise problems(source, prefix, found, known) from None


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Names of the keys that are valid under ``path``."""
    here: Any = model
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel) and part in here.model_fields:
            here = _model_in(here.model_fields[str(part)].annotation)
        # An index of a list or a key of a dict: `_model_in` has already taken its element type.
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    return [field.alias or name for name, field in here.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in get_args(annotation) if (model := _model_in(argument)) is not None), None)
