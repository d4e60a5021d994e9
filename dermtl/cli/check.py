"""``dermtl data check``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dermtl.data.checks.report import Report

_SHOWN = 40


@click.command()
@click.argument("manifest", metavar="MANIFEST", type=click.Path(path_type=Path))
@click.option(
    "--config", metavar="EXPERIMENT", type=click.Path(path_type=Path), help="Judge by this experiment's heads."
)
@click.option(
    "--json", "json_path", metavar="FILE", type=click.Path(path_type=Path), help="Write every finding as JSON."
)
@click.option("--show", type=click.IntRange(min=0), default=_SHOWN, show_default=True, help="Findings to print.")
@click.pass_context
def check(ctx: click.Context, manifest: Path, config: Path | None, json_path: Path | None, show: int) -> None:
    """Look for faults of a data set: its table, its pictures, its truths, its groups.

    MANIFEST is a CSV, or a folder of class folders. Without --config the columns image, label, mask, cx, cy, r,
    patient_id, lesion_id, group and split are taken where they exist. Nothing is changed.

    \b
    Exit code: 0 clean or warnings only, 1 errors.

    \b
    Example:
      dermtl data check data/demo/manifest.csv --json findings.json
    """
    import json

    from dermtl.config.load import load_experiment
    from dermtl.data.checks.check_dataset import check_dataset
    from dermtl.files.atomic import write_atomic
    from dermtl.plugins.plan import plan_heads

    if config is None:
        report = check_dataset(manifest)
    else:
        experiment, source = load_experiment(config)
        kinds = {name: plan.target for name, plan in plan_heads(experiment, source).items()}
        report = check_dataset(manifest, experiment, kinds)
    _show(report, show)
    if json_path is not None:
        write_atomic(json_path, json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n")
    if report.num_errors:
        ctx.exit(1)


def _show(report: Report, num: int) -> None:
    from dermtl.cli.table import show_table

    findings = sorted(report.findings, key=lambda finding: finding.severity)  # errors first, rows in their order
    if findings:
        nums = Counter((finding.severity, finding.code) for finding in findings)
        show_table(("severity", "code", "count"), [(*key, str(count)) for key, count in sorted(nums.items())])
    if findings and num:
        click.echo()
        rows = [(f.severity, f.code, f.where, f.column, f"{f.message}; {f.hint}") for f in findings[:num]]
        show_table(("severity", "code", "where", "column", "message"), rows)
        if len(findings) > num:
            click.echo(f"and {len(findings) - num} more; --json FILE writes all, --show N prints more")
    if findings:
        click.echo()
    warnings = len(findings) - report.num_errors
    speed = f"{report.num_images} pictures in {report.seconds:.1f} s"
    click.echo(f"{report.num_errors} errors, {warnings} warnings; {speed}")
