"""The tour, told on the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from clary.demo.data import Split, breast_cancer
from clary.demo.picture import draw
from clary.demo.server import temporary_server
from clary.demo.tour import MODELS, ROUNDS, WEIGHTS, Answer, Round, Tour, quality

# The test set is sent so many times, for latencies worth telling.
PASSES = 5


class Teller:
    """Says what was done, and how long after the start."""

    def __init__(self) -> None:
        self.console = Console(soft_wrap=True, highlight=False)
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        self.console.print(f"[bold green]✔[/] [dim]{time.monotonic() - self._began:5.1f} s[/]  {text}")

    def progress(self, *columns: TextColumn) -> Progress:
        """A bar that is gone when it is full; only a terminal sees it."""
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


def tell(picture: Path) -> None:
    """Take the whole tour. Raises RuntimeError where a job or the endpoint failed."""
    teller = Teller()
    data = breast_cancer()
    with temporary_server() as environment:
        teller.say(f"started a server: {environment['AWS_ENDPOINT_URL']}, S3 {environment['AWS_ENDPOINT_URL_S3']}")
        tour = Tour(environment)
        size = tour.upload(data)
        rows = f"{len(data['train'].labels)} training and {len(data['validation'].labels)} validation rows"
        teller.say(f"uploaded {rows}, {size / 1024:.0f} KiB, to s3://{tour.bucket}/demo")
        learned = {name: _train(teller, tour, name) for name in MODELS}
        tour.deploy()
        shares = " / ".join(f"{name} {weight:g} %" for name, weight in WEIGHTS.items())
        teller.say(f"deployed both behind one endpoint, traffic {shares}")
        answers = _ask(teller, tour, data["test"])
        _show(teller, data["test"], answers, learned, picture)
        tour.clean_up()
        teller.say("deleted the endpoint, its configuration and the models")
    teller.say("stopped the server")


def _train(teller: Teller, tour: Tour, name: str) -> list[Round]:
    tour.start_training(name)
    rounds: list[Round] = []
    with teller.progress(
        TextColumn("  training {task.description:8}"), TextColumn("validation AUC {task.fields[auc]}")
    ) as progress:
        bar = progress.add_task(name, total=ROUNDS, auc="–")
        for entry in tour.rounds(name):
            rounds.append(entry)
            progress.update(bar, completed=entry.number + 1, auc=f"{entry.validation_auc:.4f}")
    last = rounds[-1]
    teller.say(
        f"trained [bold]{name}[/]: {len(rounds)} rounds, validation AUC {last.validation_auc:.4f}, "
        f"log loss {last.validation_logloss:.4f}"
    )
    return rounds


def _ask(teller: Teller, tour: Tour, test: Split) -> list[Answer]:
    with teller.progress(TextColumn("  asking")) as progress:
        return [tour.ask(row) for row in progress.track(test.rows() * PASSES)]


def _show(
    teller: Teller,
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
        mine = np.full(len(served), True) if name == "all" else served == name
        good = quality(labels[mine], scores[mine])
        p50, p99 = np.percentile(milliseconds[mine], [50, 99])
        figures = f"{mine.mean():.1%}", f"{good.accuracy:.3f}", f"{good.auc:.4f}", f"{p50:.1f} ms", f"{p99:.1f} ms"
        table.add_row(name, *figures)
    teller.console.print(table)
    draw(picture, learned, {name: (labels[served == name], scores[served == name]) for name in learned})
    teller.say(f"drew the learning curve and ROC: {picture}")
