"""The words every layer shares. Nothing here imports beyond the standard library."""
