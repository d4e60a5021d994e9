"""What dermtl reads first. Names the parts and imports none of them."""

from dermtl.api import HeadSpec

attention_pool = HeadSpec(
    name="attention_pool",
    api=(2, 0),
    summary="one of several classes, with attention over the feature map",
    config="dermtl_attention_pool.config:AttentionPoolConfig",
    head="dermtl_attention_pool.head:AttentionPoolHead",
    metrics="dermtl_attention_pool.metrics:AttentionPoolMetrics",
)
