"""Inference traffic: request -> variant -> replica. A process of its own."""
