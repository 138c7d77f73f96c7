"""Data in, data out: object stores, channels, archives, logs."""
