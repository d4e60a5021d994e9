"""Checks of the config: the keys of an experiment, and the form in which a run stores them."""

import json
import pickle

from pydantic import ValidationError

from dermtl.errors import ConfigError
from dermtl.evaluation.predict.probabilities import column_names
from dermtl.kinds import Category
from dermtl.statistics.operating_point import parse_rule
from dermtl.testing.assertions import check
from dermtl.testing.head_under_test import HeadUnderTest

_STRANGER = "no_head_has_this_key"


class ConfigChecks:
    """Checks of the head's config."""

    subject: HeadUnderTest

    def test_config_survives_storing(self) -> None:
        """The config, plain and fitted, is the same after a round trip through JSON and through pickle."""
        for name, config in (("example", self.subject.example), ("fitted", self.subject.config)):
            stored = json.loads(json.dumps(config.model_dump(mode="json")))
            again = self.subject.config_type.model_validate(stored)
            check(again == config, f"the {name} config is another one after a round trip through JSON")
            check(pickle.loads(pickle.dumps(config)) == config, f"the {name} config does not survive pickling")

    def test_config_refuses_unknown_keys(self) -> None:
        """An unknown key is an error."""
        try:
            self.subject.config_type.model_validate(self.subject.example.model_dump() | {_STRANGER: 1})
        except ValidationError:
            return
        check(False, "the config takes a key that it does not know; keep extra='forbid'")

    def test_config_cannot_be_changed(self) -> None:
        """The config is frozen."""
        config = self.subject.config.model_copy()
        for name in type(config).model_fields:
            try:
                setattr(config, name, getattr(config, name))
            except ValidationError:
                continue
            check(False, f"the config's {name} can be assigned to; keep frozen=True")

    def test_config_has_a_schema(self) -> None:
        """The JSON Schema names every key, and can be written."""
        schema = json.loads(json.dumps(self.subject.config_type.model_json_schema()))
        missing = set(self.subject.example.model_dump(by_alias=True)) - set(schema.get("properties", {}))
        check(not missing, f"the JSON Schema lacks {', '.join(sorted(missing))}")
        check(schema.get("additionalProperties") is False, "the JSON Schema lets unknown keys pass")

    def test_fitting_twice_changes_nothing(self) -> None:
        """Fitting twice gives the same config, and fitting a fitted config changes nothing."""
        once, twice = (self.subject.example.fitted(self.subject.records) for _ in range(2))
        check(once == twice, "fitted(records) gives another config the second time")
        check(once.fitted(self.subject.records) == once, "fitting a fitted config changes it")

    def test_kinds_are_declared(self) -> None:
        """Target and outputs are kinds, equal on every call, and outputs have names."""
        config = self.subject.config
        check(config.target() == config.target(), "target() gives another kind each time")
        outputs = config.outputs()
        check(outputs == config.outputs() and list(outputs) == list(config.outputs()), "outputs() change")
        check(outputs, "outputs() is empty")
        for name in outputs:
            check(name.isidentifier() and name == name.lower(), f"output {name!r}: expected a lower-case identifier")

    def test_decisions_can_be_fitted(self) -> None:
        """Decisions name some of the target's classes or labels, and rules that there are; sets are of classes."""
        config = self.subject.config
        names = column_names(config.target())
        decisions = list(config.decisions())
        check(decisions == list(config.decisions()), "decisions() gives others each time")
        for decision in decisions:
            positive = set(decision.positive)
            check(
                positive and positive <= set(names) and len(positive) == len(decision.positive),
                f"decisions() names {decision.positive}; expected some of {names}, each once",
            )
            check(not isinstance(config.target(), Category) or positive < set(names), "every class is positive")
            try:
                parse_rule(decision.rule)
            except ConfigError as error:
                check(False, f"decisions(): {error}")
        coverage = config.class_set_coverage()
        check(
            coverage is None or (isinstance(config.target(), Category) and 0 < coverage < 1),
            f"class_set_coverage() is {coverage}; expected None or, of classes, a share above 0 and below 1",
        )
