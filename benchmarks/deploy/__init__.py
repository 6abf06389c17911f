"""What a student costs where it is used: PyTorch, ONNX Runtime, and eight bits."""
