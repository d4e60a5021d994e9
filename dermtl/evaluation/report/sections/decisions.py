"""Operating points: what frozen thresholds do here, predictive values at prevalences, net benefit."""

from collections.abc import Mapping
from typing import Any

from dermtl.evaluation.report.context import Context
from dermtl.evaluation.report.plots import GREY, Plot, colour, plot

_NAMES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "balanced_accuracy": "balanced accuracy",
    "ppv": "PPV at this prevalence",
    "npv": "NPV at this prevalence",
    "f1": "F1",
    "lr_positive": "likelihood ratio, positive",
    "lr_negative": "likelihood ratio, negative",
    "alert_rate": "predicted positive rate",
}


def view(context: Context, head: str) -> Mapping[str, Any] | None:
    """Every decision of a head; None for heads without probabilities of classes."""
    if head not in context.evaluation.predictions.probabilities:
        return None
    results = context.evaluation.decisions.get(head, {})
    frozen = context.evaluation.predictions.decisions.facts
    return {
        "decisions": {
            name: {
                "result": result,
                "rows": [(_NAMES[metric], estimate) for metric, estimate in result["figures"].items()],
                "plots": [_net_benefit(name, result)],
            }
            for name, result in results.items()
        },
        "unfitted": [line for line in frozen.get("unsettled", ()) if line.startswith((f"{head}:", f"{head},"))],
        "frozen": frozen,
    }


def _net_benefit(decision: str, result: Mapping[str, Any]) -> Plot:
    curve = result["curve"]

    def draw(axes: Any) -> None:
        axes.axhline(0, color=GREY, linewidth=0.8, linestyle="--", label="acting on nobody")
        axes.plot(curve["thresholds"], curve["treat_all"], color=GREY, linewidth=1, label="acting on everybody")
        axes.plot(curve["thresholds"], curve["model"], color=colour(0), linewidth=1.4, label="acting on the model")
        top = max(*curve["model"], *curve["treat_all"], 0.01)
        axes.set(xlabel="probability from which one acts", ylabel="net benefit", ylim=(-0.25 * top, 1.1 * top))
        axes.legend(frameon=False)

    middle = curve["model"][len(curve["model"]) // 4]
    at = curve["thresholds"][len(curve["model"]) // 4]
    return plot(f"Decision curve: {decision}", f"Net benefit at probability {at:.2f}: {middle:.3f} per picture.", draw)
