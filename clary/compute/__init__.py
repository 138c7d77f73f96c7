"""Runs tasks somewhere. Knows nothing of records or statuses."""
