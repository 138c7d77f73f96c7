"""Steps on images."""
