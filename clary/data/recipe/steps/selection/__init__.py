"""Steps that drop columns."""
