"""Fitted recipes as functions of one row."""
