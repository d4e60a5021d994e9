"""The JSON Schema of experiment files: the core's keys, and for each installed head its plugin's keys."""

import logging
from typing import Any

from dermtl.config.experiment import Experiment, Head
from dermtl.errors import PluginError
from dermtl.plugins.discovery import HEADS, find, load_head, resolve

_log = logging.getLogger(__name__)


def experiment_schema() -> dict[str, Any]:
    """The schema; a broken plugin is left out with a warning."""
    schema = Experiment.model_json_schema()
    definitions = schema["$defs"]
    own = Head.model_json_schema()["properties"]
    branches = []
    for name in find(HEADS):
        try:
            spec, _ = load_head(name)
            head = resolve(spec.config, f"head {name!r}").model_json_schema()
        except PluginError as error:
            _log.warning("left out of the schema: %s", error)
            continue
        for inner, definition in head.pop("$defs", {}).items():
            definitions.setdefault(inner, definition)
        properties = own | {"type": {"const": name, "description": spec.summary}} | head["properties"]
        definitions[f"head.{name}"] = {
            "type": "object",
            "properties": properties,
            "required": ["type", *head.get("required", [])],
            "additionalProperties": False,
        }
        branches.append({"$ref": f"#/$defs/head.{name}"})
    if branches:
        definitions["Head"] = {"oneOf": branches}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema
