"""The entry points' objects, which name their parts without importing them."""

from dermtl.api import HeadSpec

circle = HeadSpec(
    name="circle",
    api=(2, 0),
    summary="a centre and a radius, learned or read off an outline",
    config="dermtl_regression.circle.config:CircleConfig",
    head="dermtl_regression.circle.head:build_circle_head",
    metrics="dermtl_regression.circle.metrics:CircleMetrics",
)

number = HeadSpec(
    name="number",
    api=(2, 0),
    summary="plain numbers with units",
    config="dermtl_regression.number.config:NumberConfig",
    head="dermtl_regression.number.head:NumberHead",
    metrics="dermtl_regression.number.metrics:NumberMetrics",
)
