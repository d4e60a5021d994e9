"""The command line.

Only click is imported here; a command's module is loaded when it is named, and what it needs when it runs.

Exit codes: 0 done, 1 done with findings, 2 the user's input is wrong, 143 stopped by SIGTERM and resumable.
"""

import logging
import os
import sys
from importlib import import_module

import click

from dermtl import __version__

_COMMANDS = {
    "train": (
        "dermtl.cli.train:train",
        "Train from an experiment file, a folder of pictures or a table.",
    ),
    "init": ("dermtl.cli.init:init", "Write the experiment file for a folder of pictures."),
    "lr-find": ("dermtl.cli.lr_find:lr_find", "Try rising learning rates and suggest one."),
    "tune": ("dermtl.cli.tune:tune", "Search an experiment's keys."),
    "calibrate": ("dermtl.cli.calibrate:calibrate", "Fit temperatures and thresholds on validation."),
    "evaluate": ("dermtl.cli.evaluate:evaluate", "Score a run or an exported model."),
    "model-card": ("dermtl.cli.model_card:model_card", "Write a model card from an evaluation."),
    "compare": ("dermtl.cli.compare:compare", "Say what one model gains over another."),
    "export": ("dermtl.cli.export:export", "Write a run as one ONNX file."),
    "verify": ("dermtl.cli.verify:verify", "Replay a model's golden samples."),
    "predict": ("dermtl.cli.predict:predict", "Predict pictures with an exported model."),
    "benchmark": ("dermtl.cli.benchmark:benchmark", "Time an exported model."),
    "readers": ("dermtl.cli.readers:readers", "Set clinicians beside a model's ROC curve."),
    "explain": ("dermtl.cli.explain:explain", "Show where a model looks and where it errs."),
    "data": ("dermtl.cli.data:data", "Make and split data."),
    "taxonomy": ("dermtl.cli.taxonomy:taxonomy", "Show trees of diseases and cut them into classes."),
    "model": ("dermtl.cli.model:model", "Describe backbones."),
    "runs": ("dermtl.cli.runs:runs", "Show runs side by side."),
    "plugins": ("dermtl.cli.plugins:plugins", "Show, check and begin plugins."),
    "config": ("dermtl.cli.config:config", "Show and describe experiment files."),
}


class _Commands(click.Group):
    """Names and summaries are known without importing a command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *_brought()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            from dermtl.cli.commands import load_command

            return load_command(cmd_name) if cmd_name in _brought() else None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])
        if brought := _brought():
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, f"Brought by {distribution}.") for name, distribution in brought.items()])


def is_own(name: str) -> bool:
    """Whether the core has a command of this name; no plugin takes its place."""
    return name in _COMMANDS


def _brought() -> dict[str, str]:
    from dermtl.cli.commands import find_commands

    return find_commands(is_own)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks and debug messages.")
@click.version_option(__version__)
def dermtl(debug: bool) -> None:
    """One YAML file and one table of images in, one clinically evaluated model.onnx out.

    \b
    Example:
      dermtl data synth data/demo --num 300
      dermtl train configs/demo.yaml --run runs/demo
      dermtl export runs/demo --out model.onnx
      dermtl predict model.onnx data/demo/images --out predictions.jsonl
    """
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, format="%(message)s")
    for noisy in ("httpx", "timm", "PIL", "matplotlib", "alembic", "mlflow", "onnxscript", "onnx_ir", "torch"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def main() -> None:
    """Run the command line; a user's fault is one line and exit code 2."""
    from dermtl.errors import DermtlError

    try:
        code = dermtl.main(standalone_mode=False)  # click returns the code of its Exit instead of raising it
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except DermtlError as error:
        if "--debug" in sys.argv:
            import traceback

            traceback.print_exc()
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
