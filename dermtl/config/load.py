"""From a file to a checked model; every problem is reported with its line and column."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from dermtl.config.document import dotted
from dermtl.config.experiment import Experiment
from dermtl.config.source import Key, Source, read_source
from dermtl.config.texts import with_texts
from dermtl.config.weights import with_stated
from dermtl.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> tuple[Experiment, Source]:
    """Read and check an experiment file.

    A normalisation that is stated beside a file of pretrained weights is taken if the experiment gives none.

    Returns:
        The experiment, and its source for later messages about a head's own keys.

    Raises:
        ConfigError: The file is wrong; one line per problem, with file, line and column.
    """
    source = read_source(path, overrides)
    experiment = validate(Experiment, source.data, source)
    return experiment.model_copy(update={"backbone": with_stated(experiment.backbone)}), source


def validate(model: type[Model], data: Any, source: Source, prefix: Key = ()) -> Model:
    """Check plain data against a pydantic model.

    A number or a truth value where text is expected, such as a class, is replaced by its text in the file.

    Args:
        model: Pydantic model.
        data: Plain data that stands under ``prefix`` in ``source``.
        source: Source of the data, which knows every key's position.
        prefix: Key of the data in the source.

    Raises:
        ConfigError: The data do not fit the model; one line per problem, with file, line and column.
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
        lines = []
        for problem in error.errors(include_url=False, include_context=False):
            key = (*prefix, *(part for part in problem["loc"] if not str(part).startswith("function-")))
            lines.append(f"{source.where(key)}: {dotted(key)}: {_in_words(problem, model)}")
        raise ConfigError("\n".join(lines)) from None


def _in_words(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    """One of pydantic's problems in words, with the nearest valid key for an unknown one."""
    if problem["type"] == "extra_forbidden":
        known = _fields(model, problem["loc"][:-1])
        near = get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
        return "unknown key" + (f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}")
    if problem["type"] == "missing":
        return "this key is required"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}, got {problem['input']!r}"


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Names of the keys that are valid under a path of the model."""
    here: Any = model
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel) and part in here.model_fields:
            here = _model_in(here.model_fields[str(part)].annotation)
        # Otherwise an index of a list or a key of a dict, whose element type `_model_in` has found already.
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    return [field.alias or name for name, field in here.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in get_args(annotation) if (model := _model_in(argument)) is not None), None)
