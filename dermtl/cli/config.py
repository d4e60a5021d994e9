"""``dermtl config``."""

from pathlib import Path

import click


@click.group()
def config() -> None:
    """Show and describe experiment files."""


@config.command()
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file instead of standard output.")
def schema(out: Path | None) -> None:
    """Print the JSON Schema of experiment files, with the keys of every installed head.

    Editors with support for YAML schemas then complete keys and mark typos.

    \b
    Example:
      dermtl config schema --out experiment.schema.json
    """
    import json

    from dermtl.files.atomic import write_atomic
    from dermtl.plugins.schema import experiment_schema

    text = json.dumps(experiment_schema(), indent=2) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomic(out, text)


@config.command()
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option("-o", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, such as training.seed=3.")
def show(path: Path, overrides: tuple[str, ...]) -> None:
    """Print an experiment with every default written out; exit code 2 if it is wrong.

    \b
    Example:
      dermtl config show configs/demo.yaml -o training.batch_size=32
    """
    import yaml

    from dermtl.config.load import load_experiment
    from dermtl.plugins.plan import plan_heads

    experiment, source = load_experiment(path, overrides)
    document = experiment.model_dump(mode="json")
    document["heads"] = {name: plan.dump() for name, plan in plan_heads(experiment, source).items()}
    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
