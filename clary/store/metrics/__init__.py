"""Metrics over time: what programs print and gateways count."""
