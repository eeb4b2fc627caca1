"""From scikit-learn to ONNX."""
