"""Which options a person gave, so that one that would be passed over without a word is refused instead."""

import click
from click.core import ParameterSource

_DEFAULTS = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def given(*names: str) -> list[str]:
    """Select the options that were given to the running command, also those given with their default value.

    Args:
        names: Options by their parameters, ``fractions`` for ``--fractions``.

    Returns:
        The options as they are written, ``--fractions``, in the order asked for.
    """
    context = click.get_current_context()
    options = {option.name: option.opts[0] for option in context.command.params}
    return [options[name] for name in names if context.get_parameter_source(name) not in _DEFAULTS]
