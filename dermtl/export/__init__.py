"""From a run to one ONNX file, and the proof that both answer alike."""
