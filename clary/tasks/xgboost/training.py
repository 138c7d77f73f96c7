"""One training job, from hyperparameters and channels to a model."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

from clary.algorithms.xgboost import ALGORITHM
from clary.formats.decoding import Format
from clary.formats.table import Table
from clary.tasks import configuration, paths
from clary.tasks.algorithm import checkpoints, cluster, log, stopping
from clary.tasks.algorithm.channels import (
    Channel,
    channels,
    data_channels,
    empty_error,
    format_of_channel,
    read_table,
)
from clary.tasks.algorithm.cluster import Cluster
from clary.tasks.algorithm.stopping import StopRequest
from clary.tasks.failure import ClientError
from clary.tasks.xgboost import collective, model
from clary.tasks.xgboost.hyperparameters import Settings, settings

logger = logging.getLogger(__name__)


def run(hyperparameters: Mapping[str, str]) -> None:
    """Train and write the model. Raises ClientError for what the user can put right."""
    log.configure()
    stop = StopRequest()
    job = settings(hyperparameters)
    for name in job.without_effect:
        logger.warning("Hyperparameter %s has no effect any more", name)
    data = data_channels(channels(), ALGORITHM)
    formats = {name: _format(name, data) for name in data}
    hosts = _cluster(data)
    if not hosts.trains:
        logger.warning("Host %s has no data and takes no part: divide the data among the hosts", hosts.host)
        return
    with collective.connected(hosts):
        _train(job, {name: _table(data[name], formats[name], job) for name in data}, hosts, stop)


def _cluster(data: Mapping[str, Channel]) -> Cluster:
    """The hosts that train. One without files in a channel it should have takes no part."""
    empty = [channel for channel in data.values() if not channel.sources()]
    if empty and len(configuration.resources().hosts) == 1:
        raise empty_error(empty[0])
    return cluster.join(not empty, collective.start_tracker)


def _train(job: Settings, tables: Mapping[str, Table], hosts: Cluster, stop: StopRequest) -> None:
    from clary.tasks.xgboost import boosting

    train = tables["train"]
    logger.info("Train matrix has %s rows and %s columns", train.rows, train.columns)
    if "validation" in tables:
        logger.info("Validation matrix has %s rows", tables["validation"].rows)
    stop.deferred = True
    booster = boosting.boost(job, tables, checkpoints.folder(), stop, leads=hosts.leads)
    if hosts.leads and (job.keep_on_stop or not stop.requested):
        model.save(booster, paths.model_dir() / model.NAME)
        logger.info("Model of %s rounds written to %s", booster.num_boosted_rounds(), paths.model_dir() / model.NAME)
    if stop.requested:
        logger.info("Stopped by SIGTERM")
        sys.exit(stopping.EXIT_CODE)


def _table(channel: Channel, kind: Format, job: Settings) -> Table:
    return read_table(channel, kind, weights=job.csv_weights and kind == Format.CSV)


def _format(name: str, data: Mapping[str, Channel]) -> Format:
    kind, label_size = format_of_channel(name, data, ALGORITHM)
    if label_size != 1:
        raise ClientError(
            f"Channel {name}: {data[name].content_type or data['train'].content_type} is not an accepted csv "
            "ContentType. Optional parameter label_size must be equal to 1."
        )
    return kind
