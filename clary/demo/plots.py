"""The demo's plots: the models' learning curves, and their ROC curves on the test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clary.demo.tour import Round

# Okabe & Ito's palette, which colour-blind people can distinguish too.
_COLOURS = ("#0072B2", "#D55E00")


def draw(
    path: Path,
    rounds: Mapping[str, Sequence[Round]],
    answers: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> None:
    """Write a PNG.

    rounds    model -> its boosting rounds
    answers   variant -> (labels, scores), each (rows,)
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from sklearn.metrics import roc_auc_score, roc_curve

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for colour, (name, entries) in zip(_COLOURS, rounds.items(), strict=False):
        numbers = [entry.number for entry in entries]
        left.plot(
            numbers, [entry.train_logloss for entry in entries], color=colour, linestyle=":", label=f"{name}, train"
        )
        left.plot(numbers, [entry.validation_logloss for entry in entries], color=colour, label=f"{name}, validation")
    left.set(title="Learning curve", xlabel="boosting round", ylabel="log loss", yscale="log")
    left.legend()
    for colour, (name, (labels, scores)) in zip(_COLOURS, answers.items(), strict=False):
        false_positive, true_positive, _ = roc_curve(labels, scores)
        area = roc_auc_score(labels, scores)
        right.plot(false_positive, true_positive, color=colour, label=f"{name}, AUC {area:.3f}")
    right.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--", label="chance")
    right.set(
        title="ROC on the test set, as the endpoint answered", xlabel="false positive rate", ylabel="true positive rate"
    )
    right.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
