"""The entry points' objects, which name their parts without importing them."""

from dermtl.api import HeadSpec

classification = HeadSpec(
    name="classification",
    api=(2, 0),
    summary="one of K classes (softmax, cross-entropy)",
    config="dermtl_classification.category.config:ClassificationConfig",
    head="dermtl_classification.category.head:ClassificationHead",
    metrics="dermtl_classification.category.metrics:ClassificationMetrics",
)

tags = HeadSpec(
    name="tags",
    api=(2, 0),
    summary="independent labels, any number of which may apply (sigmoid, binary cross-entropy)",
    config="dermtl_classification.tags.config:TagsConfig",
    head="dermtl_classification.tags.head:TagsHead",
    metrics="dermtl_classification.tags.metrics:TagsMetrics",
)
