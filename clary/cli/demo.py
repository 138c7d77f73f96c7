"""`clary demo`."""

from __future__ import annotations

from pathlib import Path

import click

from clary.core.errors import SettingsError


@click.command(name="demo")
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("demo-output/clary-demo.png"),
    show_default=True,
    help="Where to write the picture of the learning curve and ROC.",
)
def command(picture: Path) -> None:
    """Train two XGBoost models on real data, deploy them 70/30 behind one endpoint, invoke it, and clean up.

    Everything goes through plain boto3 against a server that is started for it in a temporary home, and stopped
    afterwards. Under a minute on two cores.
    """
    try:
        import matplotlib as _matplotlib  # noqa: F401
        import xgboost as _xgboost  # noqa: F401
    except ImportError as error:
        raise SettingsError(f"the demo needs {error.name}: pip install 'clary[demo]'") from None
    from clary.demo.terminal import run_demo

    run_demo(picture)
