"""The JSON Schema of experiment files: the keys of dermtl, and the keys of each installed head."""

import logging
from typing import Any

from pydantic.errors import PydanticUserError

from dermtl.config.experiment import Experiment, Head
from dermtl.errors import PluginContract, PluginError
from dermtl.plugins.contract import HeadConfig
from dermtl.plugins.discovery import HEADS, load_head, resolve
from dermtl.plugins.installed import distribution_of, entry_points_of
from dermtl.plugins.probe import try_plugins
from dermtl.plugins.spec import HeadSpec

_log = logging.getLogger(__name__)
_DESCRIBE = "dermtl.plugins.discovery:describe_head"


def experiment_schema() -> dict[str, Any]:
    """The schema; a broken plugin is left out with a warning."""
    schema = Experiment.model_json_schema()
    definitions = schema["$defs"]
    common = Head.model_json_schema()["properties"]
    branches = []
    tried = {(listing.distribution, listing.name): listing for listing in try_plugins(HEADS, _DESCRIBE)}
    for name, points in entry_points_of(HEADS).items():
        for point in points:
            full = f"{distribution_of(point)}:{name}"
            state = tried[distribution_of(point), name]
            if state.state not in ("ok", "conflict"):
                _log.warning("left out of the schema: %s: %s", full, state.reason)
                continue
            try:
                spec, _ = load_head(full)
                head = _head_schema(spec, full)
            except PluginError as error:
                _log.warning("left out of the schema: %s", error)
                continue
            definitions.update(head.pop("$defs", {}))
            types = [full] if len(points) > 1 else [name, full]
            definitions[full] = {
                "type": "object",
                "properties": common | {"type": {"enum": types, "description": spec.summary}} | head["properties"],
                "required": ["type", *head.get("required", [])],
                "additionalProperties": False,
            }
            branches.append({"$ref": f"#/$defs/{full}"})
    if branches:
        definitions["Head"] = {"oneOf": [*branches, {"type": "object", "not": {"required": ["type"]}}]}
    _allow_extends(schema)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def _allow_extends(schema: dict[str, Any]) -> None:
    """Allow a file that extends others to leave out their keys; other files must have all required keys."""
    definitions, name = schema["$defs"], {"type": "string", "minLength": 1}
    blocks = {block: {"required": definitions[block.title()].pop("required")} for block in ("backbone", "training")}
    heads = {"additionalProperties": {"required": ["type"]}}
    schema["properties"]["extends"] = {
        "description": "Files or presets that this file is merged over; later ones win.",
        "anyOf": [name, {"type": "array", "items": name}],
    }
    schema["if"] = {"required": ["extends"]}
    schema["else"] = {"required": schema.pop("required"), "properties": {**blocks, "heads": heads}}


def _head_schema(spec: HeadSpec, full: str) -> dict[str, Any]:
    """The schema of a plugin's config; its definitions are renamed so that they differ from those of others."""
    config = resolve(spec.config, f"head {full!r}")
    if not (isinstance(config, type) and issubclass(config, HeadConfig)):
        raise PluginContract(f"{spec.config} is not a HeadConfig", where=f"head {full!r}")
    try:
        head = config.model_json_schema(ref_template=f"#/$defs/{full}.{{model}}")
    except PydanticUserError as error:
        raise PluginContract(f"its config has no schema: {error.message}", where=f"head {full!r}") from error
    head["$defs"] = {f"{full}.{inner}": definition for inner, definition in head.get("$defs", {}).items()}
    return head
