"""Fitted recipes as files."""
