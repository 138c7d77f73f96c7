"""The demo on the terminal: its progress, and a table of what the endpoint answered."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from clary.demo.data import Split, breast_cancer
from clary.demo.plots import draw
from clary.demo.server import temporary_server
from clary.demo.tour import MODELS, ROUNDS, WEIGHTS, Answer, Round, Tour, quality

# The test set is sent so many times, for percentiles of latency that mean something.
PASSES = 5


class Output:
    """Prints each step when it is done, with the seconds since the start."""

    def __init__(self) -> None:
        self.console = Console(soft_wrap=True, highlight=False)
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        self.console.print(f"[bold green]✔[/] [dim]{time.monotonic() - self._began:5.1f} s[/]  {text}")

    def progress(self, *columns: TextColumn) -> Progress:
        """A bar that disappears when it is full; shown on a terminal only."""
        shown = self.console.is_terminal
        return Progress(
            *columns[:1],
            BarColumn(),
            MofNCompleteColumn(),
            *columns[1:],
            console=self.console,
            transient=True,
            disable=not shown,
        )


def run_demo(picture: Path) -> None:
    """All steps, from a server's start to its end. Raises RuntimeError where a job or the endpoint failed."""
    output = Output()
    data = breast_cancer()
    with temporary_server() as environment:
        output.step(f"started a server: {environment['AWS_ENDPOINT_URL']}, S3 {environment['AWS_ENDPOINT_URL_S3']}")
        tour = Tour(environment)
        size = tour.upload(data)
        rows = f"{len(data['train'].labels)} training and {len(data['validation'].labels)} validation rows"
        output.step(f"uploaded {rows}, {size / 1024:.0f} KiB, to s3://{tour.bucket}/demo")
        learned = {name: _train(output, tour, name) for name in MODELS}
        tour.deploy()
        shares = " / ".join(f"{name} {weight:g} %" for name, weight in WEIGHTS.items())
        output.step(f"deployed both behind one endpoint, traffic {shares}")
        answers = _invoke(output, tour, data["test"])
        _show(output, data["test"], answers, learned, picture)
        tour.clean_up()
        output.step("deleted the endpoint, its configuration and the models")
    output.step("stopped the server")


def _train(output: Output, tour: Tour, name: str) -> list[Round]:
    tour.start_training(name)
    rounds: list[Round] = []
    with output.progress(
        TextColumn("  training {task.description:8}"), TextColumn("validation AUC {task.fields[auc]}")
    ) as progress:
        bar = progress.add_task(name, total=ROUNDS, auc="–")
        for entry in tour.rounds(name):
            rounds.append(entry)
            progress.update(bar, completed=entry.number + 1, auc=f"{entry.validation_auc:.4f}")
    last = rounds[-1]
    output.step(
        f"trained [bold]{name}[/]: {len(rounds)} rounds, validation AUC {last.validation_auc:.4f}, "
        f"log loss {last.validation_logloss:.4f}"
    )
    return rounds


def _invoke(output: Output, tour: Tour, test: Split) -> list[Answer]:
    with output.progress(TextColumn("  invoking")) as progress:
        return [tour.invoke(row) for row in progress.track(test.rows() * PASSES)]


def _show(
    output: Output,
    test: Split,
    answers: Sequence[Answer],
    learned: Mapping[str, Sequence[Round]],
    picture: Path,
) -> None:
    labels = np.tile(test.labels, PASSES)
    scores = np.array([answer.score for answer in answers])
    served = np.array([answer.variant for answer in answers])
    milliseconds = np.array([answer.seconds for answer in answers]) * 1000
    table = Table(
        title=f"{len(answers)} requests: the {len(test.labels)} test rows, {PASSES} times", title_justify="left"
    )
    for column in ("variant", "share", "accuracy", "AUC", "p50", "p99"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for name in [*learned, "all"]:
        chosen = np.full(len(served), True) if name == "all" else served == name
        model = quality(labels[chosen], scores[chosen])
        p50, p99 = np.percentile(milliseconds[chosen], [50, 99])
        cells = f"{chosen.mean():.1%}", f"{model.accuracy:.3f}", f"{model.auc:.4f}", f"{p50:.1f} ms", f"{p99:.1f} ms"
        table.add_row(name, *cells)
    output.console.print(table)
    draw(picture, learned, {name: (labels[served == name], scores[served == name]) for name in learned})
    output.step(f"drew the learning curve and ROC: {picture}")
