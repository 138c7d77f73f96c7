"""Steps on audio."""
