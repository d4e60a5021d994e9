"""What dermtl reads first. Names the parts and imports none of them."""

from dermtl.api import HeadSpec

ordinal = HeadSpec(
    name="ordinal",
    api=(2, 0),
    summary="ordered grades (cumulative link, quadratic kappa)",
    config="dermtl_ordinal.config:OrdinalConfig",
    head="dermtl_ordinal.head:OrdinalHead",
    metrics="dermtl_ordinal.metrics:OrdinalMetrics",
)
