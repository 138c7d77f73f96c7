"""`clary demo`: the tour, told on the terminal."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import click

from clary.core.errors import SettingsError

# The test set is sent so many times, for latencies worth telling.
PASSES = 5


@click.command(name="demo")
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("demo-output/clary-demo.png"),
    show_default=True,
    help="Where to write the picture of the learning curve and ROC.",
)
def command(picture: Path) -> None:
    """Train two XGBoost models on real data, deploy them 70/30 behind one endpoint, ask it, and clean up.

    Everything goes through plain boto3 against a server that is started for it in a temporary home and is gone
    afterwards. Under a minute on two cores.
    """
    try:
        import matplotlib as _  # noqa: F401
        import xgboost as __  # noqa: F401
    except ImportError as error:
        raise SettingsError(f"the tour needs {error.name}: pip install 'clary[demo]'") from None
    _tell(picture)


def _tell(picture: Path) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from clary.demo.data import breast_cancer
    from clary.demo.server import temporary_server
    from clary.demo.tour import MODELS, ROUNDS, WEIGHTS, Round, Tour

    console = Console()
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[bold green]✔[/] [dim]{time.monotonic() - began:5.1f} s[/]  {text}")

    data = breast_cancer()
    with temporary_server() as environment:
        say(f"server at {environment['AWS_ENDPOINT_URL']}, S3 at {environment['AWS_ENDPOINT_URL_S3']}")
        tour = Tour(environment)
        size = tour.upload(data)
        say(f"uploaded {len(data['train'].labels)} training and {len(data['validation'].labels)} validation rows ({size / 1024:.0f} KiB) to s3://{tour.bucket}/demo")
        learned: dict[str, list[Round]] = {}
        columns = (
            TextColumn("  training {task.description:8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("validation AUC {task.fields[auc]}"),
            TimeElapsedColumn(),
        )
        for name in MODELS:
            tour.start_training(name)
            with Progress(*columns, console=console, transient=True) as progress:
                bar = progress.add_task(name, total=ROUNDS, auc="–")
                learned[name] = []
                for entry in tour.rounds(name):
                    learned[name].append(entry)
                    progress.update(bar, completed=entry.number + 1, auc=f"{entry.validation_auc:.4f}")
            last = learned[name][-1]
            say(f"trained [bold]{name}[/]: {len(learned[name])} rounds, validation AUC {last.validation_auc:.4f}, log loss {last.validation_logloss:.4f}")
        tour.deploy()
        say("deployed both behind one endpoint, traffic " + " / ".join(f"{name} {weight:g} %" for name, weight in WEIGHTS.items()))
        rows = data["test"].rows() * PASSES
        with Progress(TextColumn("  asking"), BarColumn(), MofNCompleteColumn(), console=console, transient=True) as progress:
            answers = [tour.ask(row) for row in progress.track(rows)]
        _show(console, data, answers, learned, picture)
        tour.clean_up()
        say("deleted the endpoint, its configuration and the models")
    say("stopped the server")


def _show(console, data, answers, learned, picture):  # type: ignore[no-untyped-def]
    import numpy as np
    from rich.table import Table

    from clary.demo.picture import draw
    from clary.demo.tour import quality

    labels = np.tile(data["test"].labels, PASSES)
    scores = np.array([answer.score for answer in answers])
    served = np.array([answer.variant for answer in answers])
    seconds = np.array([answer.seconds for answer in answers])
    table = Table(title=f"{len(answers)} requests: the {len(data['test'].labels)} test rows, {PASSES} times", title_justify="left")
    for column in ("variant", "share", "accuracy", "AUC", "p50", "p99"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    by_variant = {}
    counts = Counter(served.tolist())
    for name in [*learned, "all"]:
        mine = np.full(len(served), True) if name == "all" else served == name
        good = quality(labels[mine], scores[mine])
        p50, p99 = np.percentile(seconds[mine] * 1000, [50, 99])
        share = 1.0 if name == "all" else counts[name] / len(answers)
        table.add_row(name, f"{share:.1%}", f"{good.accuracy:.3f}", f"{good.auc:.4f}", f"{p50:.1f} ms", f"{p99:.1f} ms")
        if name != "all":
            by_variant[name] = (labels[mine], scores[mine])
    console.print(table)
    draw(picture, learned, by_variant)
    console.print(f"picture: {picture}")
