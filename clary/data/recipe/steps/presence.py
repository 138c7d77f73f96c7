"""Whether a value is missing, as quickly as most batches allow: those in which none is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def may_have_missing(values: NDArray[np.float64]) -> bool:
    """False where no number is missing; true where one is, and, rarely, where numbers are infinite or huge."""
    with np.errstate(all="ignore"):  # of infinity less infinity
        return not math.isfinite(values.sum())
