"""What dermtl reads first. Names the parts and imports none of them."""

from dermtl.api import HeadSpec

landmarks = HeadSpec(
    name="landmarks",
    api=(2, 0),
    summary="the two ends of the long axis of a lesion",
    config="dermtl_landmarks.config:LandmarksConfig",
    head="dermtl_landmarks.head:LandmarksHead",
    metrics="dermtl_landmarks.metrics:LandmarksMetrics",
)
