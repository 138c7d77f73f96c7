"""Channels of any algorithm, by its manifest."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from clary.formats.decoding import Format
from clary.tasks.algorithm.channels import Channel, channels, data_channels, format_of_channel, read_table
from clary.tasks.failure import ClientError
from tests.programs.algorithm.example import ALGORITHM


def channels_of(**content_types: str) -> dict[str, Channel]:
    return channels({name: {"ContentType": content_type} for name, content_type in content_types.items()})


def test_the_algorithms_channels_are_read_and_others_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = data_channels(channels_of(code="", more="", test="", train=""), ALGORITHM)
    assert list(found) == ["train", "test"]
    assert [record.getMessage() for record in caplog.records] == [
        "Channel more is not read: the algorithm knows train and test"
    ]


def test_a_required_channel_must_be_there() -> None:
    with pytest.raises(ClientError, match=r"Missing required channel: train\. The job has test\."):
        data_channels(channels_of(test=""), ALGORITHM)


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        ("", "", (Format.RECORDIO_PROTOBUF, 1)),
        ("text/csv;label_size=0", "", (Format.CSV, 0)),
        ("", "text/csv", (Format.CSV, 1)),
    ],
)
def test_a_channel_without_content_type_has_the_first_channels(
    train: str, test: str, expected: tuple[Format, int]
) -> None:
    assert format_of_channel("test", channels_of(train=train, test=test), ALGORITHM) == expected


def test_a_format_that_the_manifest_does_not_declare_is_refused() -> None:
    with pytest.raises(ClientError, match="text/libsvm is not an accepted ContentType: application/x-recordio"):
        format_of_channel("train", channels_of(train="text/libsvm"), ALGORITHM)


def test_a_table_is_read_or_the_reason_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    channel = channels_of(train="text/csv")["train"]
    channel.folder.mkdir(parents=True)
    with pytest.raises(ClientError, match="No data in train channel path"):
        read_table(channel, Format.CSV)
    (channel.folder / "a.csv").write_text("1,2\n")
    assert read_table(channel, Format.CSV, label_size=0).columns == 2
    (channel.folder / "a.csv").write_text("1,x\n")
    with pytest.raises(ClientError, match="Failed to load csv data of channel train: "):
        read_table(channel, Format.CSV)
