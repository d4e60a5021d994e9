"""The entry points' objects. They name their parts and import none of them."""

from dermtl.api import HeadSpec

circle = HeadSpec(
    name="circle",
    api=(1, 0),
    summary="a centre and a radius (no softmax, quadratic loss)",
    config="dermtl_regression.circle.config:CircleConfig",
    head="dermtl_regression.circle.head:CircleHead",
    metrics="dermtl_regression.circle.metrics:CircleMetrics",
)

number = HeadSpec(
    name="number",
    api=(1, 0),
    summary="plain numbers with units",
    config="dermtl_regression.number.config:NumberConfig",
    head="dermtl_regression.number.head:NumberHead",
    metrics="dermtl_regression.number.metrics:NumberMetrics",
)
