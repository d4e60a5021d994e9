"""``dermtl calibrate``."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--rule", help="Rule for every threshold, in place of the heads' rules: sensitivity>=0.95, youden, cost:10."
)
@click.option("--lower-bound", is_flag=True, help="With --rule: Wilson's lower limit must meet it.")
@click.option(
    "--conformal",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Sets of classes that hold the true one in this share of pictures; added to a calibrated run without sets.",
)
@click.option("--replace", is_flag=True, help="Fit again; what was evaluated or exported before is out of date.")
def calibrate(run: Path, rule: str | None, lower_bound: bool, conformal: float | None, replace: bool) -> None:
    """Fit a run's temperatures and thresholds on its validation split, and freeze them.

    Writes decisions.json, which evaluate, export and predict apply. dermtl train does it once at its end. Exit code 1
    where something could not be frozen.

    Of the folds of a cross-validation, the thresholds of their ensemble are fitted, by members that did not learn from
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
        frozen = calibrate_folds(run, rule=rule, lower_bound=lower_bound, replace_old=replace)
    else:
        frozen = calibrate_run(run, rule=rule, lower_bound=lower_bound, conformal=conformal, replace_old=replace)
    if not frozen.facts:
        click.echo("nothing to settle: no head with classes or labels, or no validation split")
        return
    calibration = frozen.facts.get("calibration", {})
    rows = [
        (head, f"{temperature:.4g}", *(f"{calibration[head][when]['ece']:.4f}" for when in ("before", "after")))
        for head, temperature in frozen.temperatures.items()
    ]
    if rows:
        show_table(("head", "temperature", "ECE before", "after"), rows)
        click.echo()
    points = [
        (d.head, d.name, d.chosen["rule"], threshold_text(d.threshold), *(f"{d.chosen[key]:.3f}" for key in _ACHIEVED))
        for d in frozen.binary
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
        for s in frozen.sets
    ]
    if sets:
        click.echo()
        show_table(("head", "set holds", "classes from", "held", "classes in a set"), sets)
    where = "validation" if frozen.facts["split"] == "val" else frozen.facts["split"]
    click.echo(f"settled on {frozen.facts['records']} {where} records: {run / 'decisions.json'}")
    if frozen.facts.get("after_test") or frozen.facts.get("sets_after_test"):
        click.echo("recorded: the test split had been evaluated before")
    if frozen.facts["unsettled"]:
        sys.exit(1)


_ACHIEVED = ("sensitivity", "specificity")
