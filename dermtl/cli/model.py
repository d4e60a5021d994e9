"""``dermtl model``."""

import click


@click.group()
def model() -> None:
    """Describe backbones."""


@model.command()
@click.argument("name")
@click.option("--image-size", type=click.IntRange(32, 2048), help="Side of the input; default: the weights' own.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, image_size: int | None, as_json: bool) -> None:
    """Print groups of layers, feature maps and size of a backbone, and the licence of its weights; loads no weights.

    \b
    Example:
      dermtl model show resnet50 --image-size 224
    """
    from dermtl.cli.extras import needs

    with needs("train"):
        from dermtl.model.card import bare_backbone, model_card
        from dermtl.model.network import Network
        from dermtl.training.optim.layer_groups import backbone_groups

    import json
    from dataclasses import asdict

    from dermtl.cli.table import show_table

    backbone = bare_backbone(name, image_size)
    groups = [
        (group.name, sum(parameter.numel() for parameter in group.parameters.values()))
        for group in backbone_groups(Network(backbone, {}))
    ]
    card = model_card(name, backbone, groups)
    if as_json:
        click.echo(json.dumps(asdict(card), indent=2))
        return
    fixed = ", fixed when the model is built" if card.fixed_size else ""
    maps = ", ".join(f"{c} channels at 1/{r}" for c, r in zip(card.channels, card.reductions, strict=True))
    weights = f"{card.weights}, at {card.pretrained_size} px, licence {card.licence or 'not stated'}"
    show_table(
        ("model", card.name),
        [
            ("parameters", f"{card.parameters:,} without classifier"),
            ("input", f"{card.image_size} px{fixed}"),
            ("normalisation", f"mean {_listed(card.mean)}, std {_listed(card.std)}"),
            ("pooled", f"{card.pooled} features"),
            ("maps", maps or "none"),
            ("weights", weights if card.weights else "none in timm"),
        ],
    )
    click.echo()
    rows = [(group.name, f"{group.parameters:,}", group.selector) for group in card.groups]
    show_table(("group", "parameters", "train: this to output"), rows)


def _listed(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
