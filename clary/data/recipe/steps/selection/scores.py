"""Scores of columns against a target, from statistics of all rows: F tests and chi²."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clary.data.errors import StepError
from clary.data.recipe.steps.features import varies
from clary.data.statistics.groups import Classes
from clary.data.statistics.products import Product

Row = NDArray[np.float64]


def f_classif(found: Classes) -> tuple[Row, Row]:
    """(F, p), each (k,): one-way analysis of variance; NaN for a constant column. As scikit-learn's f_classif.

    Raises StepError for fewer than two classes, and for no more rows than classes.
    """
    from scipy import special

    count, mean, m2 = _stacked(found)
    rows, groups = int(count.sum()), len(count)
    if groups < 2:
        raise StepError(f"two classes at least are needed, there are {groups}")
    if rows <= groups:
        raise StepError(f"there are no more rows ({rows}) than classes ({groups})")
    middle = count @ mean / rows
    between = count @ (mean - middle) ** 2 / (groups - 1)
    between[(mean == mean[0]).all(axis=0)] = 0.0  # means that are one: the middle may be off by its rounding
    within = m2.sum(axis=0) / (rows - groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        f = between / within
    return f, special.fdtrc(groups - 1, rows - groups, f)


def chi2(found: Classes) -> tuple[Row, Row]:
    """(chi², p), each (k,): sums by class against those expected of no relation. As scikit-learn's chi2.

    Raises StepError for values below zero, naming no column: see `below_zero`.
    """
    from scipy import special

    count, mean, _ = _stacked(found)
    if len(count) < 2:
        raise StepError(f"two classes at least are needed, there are {len(count)}")
    observed = count[:, None] * mean
    expected = np.outer(count / count.sum(), observed.sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        figure = ((observed - expected) ** 2 / expected).sum(axis=0)
    return figure, special.chdtrc(len(count) - 1, figure)


def below_zero(found: Classes) -> NDArray[np.bool_]:
    """(k,), whether a column has a value below zero."""
    lowest = np.min([group.low for group in found.classes.values()], axis=0)
    below: NDArray[np.bool_] = lowest < 0
    return below


def f_regression(found: Product) -> tuple[Row, Row]:
    """(F, p), each (k - 1,): of each column against the last. As scikit-learn's f_regression.

    A constant column has F = 0; a perfect correlation the greatest number there is. Raises StepError for fewer than
    three rows.
    """
    from scipy import stats

    degrees = found.count - 2
    if degrees < 1:
        raise StepError(f"three rows at least are needed, there are {found.count}")
    spread = np.diag(found.cross)
    varying = varies(found)
    known = varying[:-1] & varying[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.clip(found.cross[:-1, -1] / np.sqrt(spread[:-1] * spread[-1]), -1.0, 1.0)
        f = r * r / (1 - r * r) * degrees
    f = np.where(known, np.minimum(f, np.finfo(np.float64).max), 0.0)
    return f, np.where(known, stats.f.sf(f, 1, degrees), 1.0)


def _stacked(found: Classes) -> tuple[Row, Row, Row]:
    """(count (classes,), mean (classes, k), m2 (classes, k))."""
    groups = list(found.classes.values())
    if not groups:
        raise StepError("there are no rows")
    count = np.array([group.count for group in groups], np.float64)
    return count, np.array([group.mean for group in groups]), np.array([group.m2 for group in groups])
