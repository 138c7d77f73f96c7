"""A table as it comes from somebody's spreadsheet: the breast cancer table of the demo, with every common fault put in.

    python -c "from clary.demo.messy import write; write('patients.csv')"
Faults: Latin-1, semicolons, decimal commas; gaps written in four ways; a word among numbers; measurements in the wrong
unit; rows twice; a column twice; rows with too few and too many fields; one clinic in several spellings; dates as in
German; numbers with leading zeros that are names; a column without content; one that reveals the label.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MEASURED = (
    "mean radius",
    "mean texture",
    "mean area",
    "mean smoothness",
    "mean concavity",
    "worst texture",
    "worst smoothness",
    "worst concave points",
)
CLINICS = {
    "Köln": ("Köln", "köln", "KÖLN ", "Köln"),
    "Lübeck": ("Lübeck", "LÜBECK", " Lübeck"),
    "Mainz": ("Mainz", "mainz"),
    "Jena": ("Jena",),
}
GAPS = ("", "?", "NA", "n/a")
FINDINGS = {
    0: ("irregular border, hard", "fixed to the tissue and irregular", "growing since spring, irregular border"),
    1: ("soft, smooth border", "smooth and movable", "found by chance, soft"),
}


def write(path: str | os.PathLike[str], seed: int = 5) -> Path:
    """584 lines behind a header; `diagnosis` (malignant, benign) is the label."""
    from sklearn.datasets import load_breast_cancer

    draw = np.random.default_rng(seed)
    table = load_breast_cancer()
    places = [list(table.feature_names).index(name) for name in MEASURED]
    rows = enumerate(zip(table.data[:, places], table.target, strict=True))
    lines = [_line(draw, number, row, int(label)) for number, (row, label) in rows]
    lines += [list(lines[place]) for place in draw.choice(len(lines), 12, replace=False)]
    lines[100][3] = "unclear"
    lines.insert(200, lines[200][:5])
    lines.insert(300, [*lines[300], "see letter", ""])
    lines.insert(400, lines[400][:-1])
    header = ["patient", "country", "clinic", *MEASURED, "mean radius", "examined", "finding", "code", "diagnosis"]
    text = "".join(";".join(line) + "\r\n" for line in [header, *lines])
    path = Path(path)
    path.write_bytes(text.encode("latin-1"))
    return path


def _line(draw: np.random.Generator, number: int, row: NDArray[np.float64], label: int) -> list[str]:
    values = [_number(draw, value * (100 if draw.random() < 0.004 else 1)) for value in row]
    clinic = draw.choice(list(CLINICS), p=[0.5, 0.25, 0.2, 0.05])
    day = np.datetime64("2019-01-01") + int(draw.integers(0, 1500))
    year, month, date = str(day).split("-")
    return [
        f"{number + 1:06d}",
        "Deutschland",
        str(draw.choice(CLINICS[clinic])),
        *values,
        values[0],
        f"{date}.{month}.{year}",
        str(draw.choice(FINDINGS[label if draw.random() < 0.7 else 1 - label])) if draw.random() < 0.8 else "",
        "D24" if label else "C50.9",
        "benign" if label else "malignant",
    ]


def _number(draw: np.random.Generator, value: float) -> str:
    return str(draw.choice(GAPS)) if draw.random() < 0.05 else f"{value:.5g}".replace(".", ",")
