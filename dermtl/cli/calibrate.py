"""``dermtl calibrate``."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--rule", help="For every threshold, in place of the heads' own: sensitivity>=0.95, youden, cost:10.")
@click.option("--lower-bound", is_flag=True, help="With --rule: Wilson's lower limit must meet it.")
@click.option(
    "--conformal",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Sets of classes that hold the true one in this share of pictures; added to what is settled, if it has none.",
)
@click.option("--replace", is_flag=True, help="Settle again; what was evaluated or exported before is out of date.")
def calibrate(run: Path, rule: str | None, lower_bound: bool, conformal: float | None, replace: bool) -> None:
    """Settle a run's temperatures and thresholds on its validation split, and freeze them.

    Writes decisions.json, which evaluate, export and predict apply. dermtl train does it once at its end. Exit code 1
    where something could not be settled.

    Of the folds of a cross-validation, the thresholds of their ensemble are settled, by members that did not learn from
    a record.

    \b
    Example:
      dermtl calibrate runs/demo --rule 'specificity>=0.9' --replace
      dermtl calibrate runs/demo --conformal 0.9
    """
    import sys

    from dermtl.cli.extras import needs

    with needs("train"):
        from dermtl.runs.calibrate import calibrate_run
        from dermtl.runs.calibrate_folds import calibrate_folds

    from dermtl.cli.table import show_table
    from dermtl.errors import ConfigError
    from dermtl.evaluation.formatting import threshold_text

    if lower_bound and rule is None:
        raise ConfigError("--lower-bound needs --rule", hint="without, the heads' keys lower_bound hold")
    if (run / "folds.json").is_file():
        if conformal is not None:
            raise ConfigError(
                "the ensemble of folds takes no sets", where="--conformal", hint="no record is left to it"
            )
        settled = calibrate_folds(run, rule=rule, lower_bound=lower_bound, replace_old=replace)
    else:
        settled = calibrate_run(run, rule=rule, lower_bound=lower_bound, conformal=conformal, replace_old=replace)
    if not settled.facts:
        click.echo("nothing to settle: no head with classes or labels, or no validation split")
        return
    calibration = settled.facts.get("calibration", {})
    rows = [
        (head, f"{temperature:.4g}", *(f"{calibration[head][when]['ece']:.4f}" for when in ("before", "after")))
        for head, temperature in settled.temperatures.items()
    ]
    if rows:
        show_table(("head", "temperature", "ECE before", "after"), rows)
        click.echo()
    points = [
        (d.head, d.name, d.chosen["rule"], threshold_text(d.threshold), *(f"{d.chosen[key]:.3f}" for key in _ACHIEVED))
        for d in settled.questions
    ]
    if points:
        show_table(("head", "positive", "rule", "threshold", *_ACHIEVED), points)
    else:
        click.echo("no threshold: no head says which classes are positive")
    sets = [
        (
            s.head,
            f"{s.coverage:g}",
            f"{s.threshold:.4g}",
            *(f"{s.chosen[key]:.3f}" for key in ("coverage", "mean_size")),
        )
        for s in settled.sets
    ]
    if sets:
        click.echo()
        show_table(("head", "set holds", "classes from", "held", "classes in a set"), sets)
    where = "validation" if settled.facts["split"] == "val" else settled.facts["split"]
    click.echo(f"settled on {settled.facts['records']} {where} records: {run / 'decisions.json'}")
    if settled.facts.get("after_test") or settled.facts.get("sets_after_test"):
        click.echo("recorded: the test split had been evaluated before")
    if settled.facts["unsettled"]:
        sys.exit(1)


_ACHIEVED = ("sensitivity", "specificity")
