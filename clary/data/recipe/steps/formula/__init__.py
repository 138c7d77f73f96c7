"""Formulas over columns: parsed, bound to the kinds of columns, evaluated for a batch or written as code."""
