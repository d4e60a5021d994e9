"""``dermtl plugins check``."""

import functools
import json
import logging
import sys

import click


@click.command()
@click.argument("name")
@click.option("--strict", is_flag=True, help="A check that was left out counts as failed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(name: str, strict: bool, as_json: bool) -> None:
    """Run the conformance kit on the installed head NAME, or distribution:name.

    \b
    Exit code: 0 it conforms, 1 it does not.

    \b
    Example:
      dermtl plugins check circle --strict
    """
    from dermtl.cli.extras import needs

    with needs("train"):
        from dermtl.testing.run import check_head
    logger = logging.getLogger("dermtl")
    click.get_current_context().call_on_close(functools.partial(logger.setLevel, logger.level))
    logger.setLevel(logging.ERROR)  # the runs are short, many, and settle nothing
    done = []
    for finding in check_head(name):
        done.append(finding)
        if not as_json:
            said = f": {finding.reason}" if finding.reason else ""
            click.echo(f"{finding.state:7}  {finding.check}{said}")
    num_ran = sum(finding.state != "skipped" for finding in done)
    num_failed = sum(finding.state == "failed" for finding in done)
    if as_json:
        told = {"head": name, "ran": num_ran, "checks": len(done), "failed": num_failed}
        click.echo(json.dumps(told | {"findings": [finding._asdict() for finding in done]}, indent=2))
    else:
        click.echo(f"{name}: {num_ran} of {len(done)} checks ran, {num_failed} failed")
    if num_failed or (strict and num_ran < len(done)):
        sys.exit(1)
