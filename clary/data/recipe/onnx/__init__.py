"""Fitted recipes as ONNX graphs."""
