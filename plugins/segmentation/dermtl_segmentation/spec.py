"""The entry point's object, which names its parts without importing them."""

from dermtl.api import HeadSpec

segmentation = HeadSpec(
    name="segmentation",
    api=(2, 0),
    summary="outlines of one or several classes (U-Net or FPN over any backbone)",
    config="dermtl_segmentation.config:SegmentationConfig",
    head="dermtl_segmentation.head:SegmentationHead",
    metrics="dermtl_segmentation.metrics:SegmentationMetrics",
)
