"""Predict with an exported model and nothing of dermtl's: ONNX Runtime, NumPy, Pillow.

python plain_onnxruntime.py model.onnx picture.jpg ...

Prints one JSON line a picture. Circles and masks are in the picture's own pixels, after EXIF rotation.
"""

import json
import os
import sys

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import: nothing is written at home or looked up
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1])
outputs = json.loads(session.get_modelmeta().custom_metadata_map["dermtl"])["outputs"]


def decode(path: str) -> np.ndarray:
    """uint8 [H, W, 3]: upright, 16-bit greys scaled, transparency on black."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):
        grey = np.rint(np.asarray(image, np.float64) * (255 / 65535)).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layers.size, (0, 0, 0, 255)), layers)
    return np.asarray(image.convert("RGB"))


for path in sys.argv[2:]:
    image = decode(path)
    values = session.run([output["name"] for output in outputs], {"image": image[None]})
    answer = {"image": path}
    for output, (value,) in zip(outputs, values, strict=True):
        kind = output["kind"]
        if kind["kind"] == "category":
            answer[output["name"]] = kind["classes"][int(value.argmax())]
        elif kind["kind"] == "mask":  # [classes, height, width] in 0..1; here the area of each class
            answer[output["name"]] = {
                name: int((p >= 0.5).sum()) for name, p in zip(kind["classes"], value, strict=True)
            }
        else:  # a circle's cx, cy, r; numbers; the probabilities of tags
            answer[output["name"]] = value.tolist()
    print(json.dumps(answer))
