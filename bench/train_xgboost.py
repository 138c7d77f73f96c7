"""A whole XGBoost job, from CreateTrainingJob to Completed, against the same training in a plain Python process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.figures import Figure
from bench.servers import XGBOOST, Server, server

ABOUT = "a whole XGBoost job, CreateTrainingJob to Completed"

COLUMNS = 30
PARAMETERS = {"objective": "binary:logistic", "eval_metric": "logloss", "max_depth": "6", "eta": "0.1"}

# What somebody would write by hand. It also writes the model, and measures itself with its imports.
PLAIN = """
import sys
import pandas
import xgboost
train, model, rounds, *parameters = sys.argv[1:]
table = pandas.read_csv(train, header=None)
data = xgboost.DMatrix(table.iloc[:, 1:], table.iloc[:, 0])
settings = dict(parameter.split("=") for parameter in parameters)
booster = xgboost.train(settings, data, int(rounds), evals=[(data, "train")])
booster.save_model(model)
"""


def measure(quick: bool) -> Iterator[Figure]:
    rows, times = (20_000, 1) if quick else (200_000, 3)
    with tempfile.TemporaryDirectory() as folder, server() as live:
        small, large = Path(folder) / "breast-cancer.csv", Path(folder) / "synthetic.csv"
        write_breast_cancer(small)
        write_synthetic(large, rows)
        yield _compare(live, "breast cancer (341 rows), 100 rounds", small, 100, times if quick else 2 * times)
        size = f"{large.stat().st_size / 1e6:.0f} MB"
        yield _compare(live, f"{rows:,} rows x {COLUMNS} ({size}), 30 rounds", large, 30, times)


def _compare(live: Server, name: str, table: Path, rounds: int, times: int) -> Figure:
    live.s3.upload_file(str(table), live.bucket, f"{table.stem}/train.csv")
    own, peer = [], []
    for number in range(-1, times):  # the first is to warm up
        taken = job(live, f"{table.stem}-{number + 1}", table.stem, rounds), plain(table, rounds)
        if number >= 0:
            own.append(taken[0])
            peer.append(taken[1])
    return Figure(name, "s", own, "the same in a plain Python process", peer)


def job(live: Server, name: str, prefix: str, rounds: int) -> float:
    began = time.perf_counter()
    live.start_job(
        name,
        {"TrainingImage": XGBOOST},
        HyperParameters={**PARAMETERS, "num_round": str(rounds)},
        InputDataConfig=[live.channel("train", f"{prefix}/")],
    )
    live.completed(name)
    return time.perf_counter() - began


def plain(table: Path, rounds: int, parameters: Mapping[str, str] = PARAMETERS) -> float:
    with tempfile.TemporaryDirectory() as folder:
        arguments = [f"{name}={value}" for name, value in parameters.items()]
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", PLAIN, str(table), f"{folder}/model.ubj", str(rounds), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - began


# ---- data ----


def write_breast_cancer(path: Path) -> None:
    from clary.demo.data import breast_cancer

    path.write_bytes(breast_cancer()["train"].csv())


def write_synthetic(path: Path, rows: int) -> None:
    """Label first, no header; the label hangs on some of the columns, and on chance."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv

    generator = np.random.default_rng(7)
    features = generator.normal(size=(rows, COLUMNS)).round(5)
    score = features[:, 0] * features[:, 1] + features[:, 2] + generator.normal(size=rows)
    columns = [(score > 0).astype(np.int8), *features.T]
    table = pa.table({str(number): column for number, column in enumerate(columns)})
    csv.write_csv(table, path, csv.WriteOptions(include_header=False))
