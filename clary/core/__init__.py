"""What every layer shares. Nothing here imports beyond the standard library."""
