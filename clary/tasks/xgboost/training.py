"""One training job, from hyperparameters and channels to a model."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

from clary.algorithms.xgboost import ALGORITHM
from clary.formats.decoding import Format, format_of
from clary.formats.table import DataError, Table
from clary.tasks import paths
from clary.tasks.channels import Channel, channels
from clary.tasks.failure import ClientError
from clary.tasks.xgboost import checkpoints, model, rendezvous
from clary.tasks.xgboost.hyperparameters import Settings, settings
from clary.tasks.xgboost.rendezvous import Party

log = logging.getLogger(__name__)

DEFAULT_CONTENT_TYPE = ALGORITHM.channels[0].content_types[0]
DATA_CHANNELS = tuple(channel.name for channel in ALGORITHM.channels)
# Clients bring code and drivers in channels of their own.
OTHER_CHANNELS = ("code", "sm_drivers")
STOPPED = 128 + signal.SIGTERM


class Stop:
    """SIGTERM: before there is anything to save, an end; later, a wish that the round in hand be the last."""

    def __init__(self) -> None:
        self.wished = False
        self.can_wait = False
        signal.signal(signal.SIGTERM, self.on_signal)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        self.wished = True
        if not self.can_wait:
            sys.exit(STOPPED)


def run(texts: Mapping[str, str]) -> None:
    """Train as the hyperparameters say, and write the model. Raises ClientError for what the user can put right."""
    speak()
    stop = Stop()
    job = settings(texts)
    for name in job.without_effect:
        log.warning("Hyperparameter %s has no effect any more", name)
    there = channels()
    _check(there)
    party = _party(there)
    if not party.trains:
        log.warning("Host %s has no data and takes no part: divide the data among the hosts", party.host)
        return
    with rendezvous.together(party):
        _train(job, there, party, stop)


def speak() -> None:
    """The log as AWS's image has it, on stdout with the metrics, so that lines keep their order."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO,
        format="[%(asctime)s:%(levelname)s] %(message)s",
        datefmt="%Y-%m-%d:%H:%M:%S",
    )


def _check(there: Mapping[str, Channel]) -> None:
    if "train" not in there:
        raise ClientError(f"Missing required channel: train. The job has {', '.join(there) or 'none'}.")
    for name in set(there).difference(DATA_CHANNELS, OTHER_CHANNELS):
        log.warning("Channel %s is not read: the algorithm knows %s", name, " and ".join(DATA_CHANNELS))
    for name in DATA_CHANNELS:
        if name in there:
            _format(there, name)


def _party(there: Mapping[str, Channel]) -> Party:
    """The hosts that train. One without files in a channel it should have takes no part."""
    resources = _resources()
    host, hosts = resources.get("current_host", "algo-1"), resources.get("hosts", ["algo-1"])
    empty = [name for name in DATA_CHANNELS if name in there and not there[name].sources()]
    if len(hosts) > 1:
        log.info("Distributed node training with %s hosts: %s", len(hosts), hosts)
        name = os.environ.get("TRAINING_JOB_ARN") or os.environ.get("TRAINING_JOB_NAME") or "job"
        return rendezvous.meet(host, hosts, not empty, name, resources.get("network_interface_name", "eth0"))
    for channel in empty:
        raise ClientError(f"No data in {channel} channel path {there[channel].folder}.")
    return rendezvous.alone(host)


def _resources() -> dict[str, Any]:
    file = paths.config_dir() / "resourceconfig.json"
    value: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return value


def _train(job: Settings, there: Mapping[str, Channel], party: Party, stop: Stop) -> None:
    from clary.tasks.xgboost import boosting

    tables = {name: _read(there, name, job) for name in DATA_CHANNELS if name in there}
    train = tables["train"]
    log.info("Train matrix has %s rows and %s columns", train.rows, train.columns)
    if "validation" in tables:
        log.info("Validation matrix has %s rows", tables["validation"].rows)
    stop.can_wait = True
    booster = boosting.boost(job, tables, checkpoints.folder(), stop, leads=party.leads)
    if party.leads and (job.keep_on_stop or not stop.wished):
        model.save(booster, paths.model_dir() / model.NAME)
        log.info("Model of %s rounds written to %s", booster.num_boosted_rounds(), paths.model_dir() / model.NAME)
    if stop.wished:
        log.info("Stopped by SIGTERM")
        sys.exit(STOPPED)


def _read(there: Mapping[str, Channel], name: str, job: Settings) -> Table:
    kind = _format(there, name)
    try:
        table = there[name].read(kind, weights=job.csv_weights and kind == Format.CSV)
    except DataError as error:
        raise ClientError(f"Failed to load {kind} data of channel {name}: {error}") from None
    if table is None:
        raise ClientError(f"No data in {name} channel path {there[name].folder}.")
    return table


def _format(there: Mapping[str, Channel], name: str) -> Format:
    """What the channel says, or else what channel train says."""
    content_type = there[name].content_type or there["train"].content_type or DEFAULT_CONTENT_TYPE
    try:
        kind, label_size = format_of(content_type)
    except DataError as error:
        raise ClientError(f"Channel {name}: {error}") from None
    if label_size != 1:
        raise ClientError(
            f"Channel {name}: {content_type} is not an accepted csv ContentType. "
            "Optional parameter label_size must be equal to 1."
        )
    return kind
