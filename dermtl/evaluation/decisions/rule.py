"""Which decisions are fitted, and by which rule: what the heads' configs declare, or one rule in place of theirs."""

from collections.abc import Mapping
from dataclasses import replace

from dermtl.errors import ConfigError, PluginContract
from dermtl.evaluation.predict.probabilities import column_names, ranked_output
from dermtl.kinds import Category
from dermtl.plugins.decision_rule import DecisionRule
from dermtl.plugins.plan import HeadPlan
from dermtl.statistics.operating_point import parse_rule

Rules = Mapping[str, tuple[DecisionRule, ...]]


def decision_rules(
    plans: Mapping[str, HeadPlan], rule: str | None = None, *, lower_bound: bool = False
) -> dict[str, tuple[DecisionRule, ...]]:
    """Head to its binary decisions, of every head that gives probabilities of classes or labels.

    Args:
        plans: The heads.
        rule: In place of the rules that the heads' configs declare.
        lower_bound: Only with ``rule``: whether Wilson's lower limit must meet its target.

    Raises:
        ConfigError: The rule is none.
        PluginContract: A head's decision names no class, or one that the head has not.
    """
    if rule is not None:
        parse_rule(rule)
    by_head = {}
    for head, plan in plans.items():
        if ranked_output(plan) is None:
            continue
        rules = tuple(plan.config.decisions())
        for declared in rules:
            if unknown := [name for name in declared.positive if name not in column_names(plan.target)]:
                raise PluginContract(f"decisions() names {unknown[0]!r}, which it has not", where=f"head {head!r}")
            if not declared.positive:
                raise PluginContract("decisions() names no positive class", where=f"head {head!r}")
        if rule is not None:
            rules = tuple(replace(declared, rule=rule, lower_bound=lower_bound) for declared in rules)
        by_head[head] = rules
    return by_head


def class_set_coverages(plans: Mapping[str, HeadPlan], coverage: float | None = None) -> dict[str, float]:
    """Head of classes to the coverage of its sets: the one given, else the one its config declares.

    Raises:
        ConfigError: A coverage is given, and no head has classes.
    """
    ranked = {head: plan for head, plan in plans.items() if isinstance(plan.target, Category) and ranked_output(plan)}
    if coverage is not None and not ranked:
        raise ConfigError("no head has classes, of which a set could be made", where="--conformal")
    declared = {head: coverage or plan.config.class_set_coverage() for head, plan in ranked.items()}
    return {head: share for head, share in declared.items() if share is not None}
