"""Sounds in a column. Every audio step takes any of these forms, and those that make sounds give the last form:

encoded  binary: a WAV, FLAC, OGG, AIFF or MP3 file, as libsndfile reads them
lists    list<number>: the samples of one channel; list<list<number>>: (frames, channels). Their rate is given by
         the step's `orig_sr`, since they carry none
decoded  struct<samples: large_binary, channels: int32, rate: int32>: float32 in C order (frames, channels), full
         scale being -1 to 1; rate in frames a second
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.errors import StepError
from clary.data.recipe.steps.media import InvalidMedia, bytes_of, is_bytes, is_form, needed

SOUND = pa.struct([("samples", pa.large_binary()), ("channels", pa.int32()), ("rate", pa.int32())])
MAX_RATE = 384_000  # frames a second; the fastest that recorders offer
MAX_CHANNELS = 64
MAX_SAMPLES = 250_000_000  # of one sound: 1 GB


@dataclass(frozen=True)
class Sound:
    """samples (frames, channels), float32; rate in frames a second."""

    samples: NDArray[np.float32]
    rate: int

    def mono(self) -> NDArray[np.float64]:
        """(frames,), the mean of the channels."""
        made: NDArray[np.float64] = self.samples.mean(axis=1, dtype=np.float64)
        return made


def sound_of(value: pa.Scalar, orig_sr: int, max_seconds: float) -> Sound:
    """A row's sound. Raises InvalidMedia; StepError where the column is of no such form."""
    given = value.type
    if is_form(given, SOUND):
        return _decoded(value, max_seconds)
    if is_bytes(given):
        return _opened(value, max_seconds)
    return _listed(value, orig_sr, max_seconds)


def packed(sounds: Sequence[Sound | None]) -> pa.Array:
    """Decoded sounds as a column."""
    data = [None if sound is None else np.ascontiguousarray(sound.samples).tobytes() for sound in sounds]
    return pa.StructArray.from_arrays(
        [
            pa.array(data, pa.large_binary()),
            pa.array([None if sound is None else sound.samples.shape[1] for sound in sounds], pa.int32()),
            pa.array([None if sound is None else sound.rate for sound in sounds], pa.int32()),
        ],
        fields=list(SOUND),
        mask=pa.array([sound is None for sound in sounds], pa.bool_()),
    )


def bounded(frames: int, channels: int, rate: int, max_seconds: float) -> None:
    """Raise InvalidMedia for what would be too much before it is held in memory."""
    if not 1 <= rate <= MAX_RATE:
        raise InvalidMedia(f"its rate of {rate} frames a second is not from 1 to {MAX_RATE:,}")
    if not 1 <= channels <= MAX_CHANNELS:
        raise InvalidMedia(f"it has {channels} channels, not from 1 to {MAX_CHANNELS}")
    if frames < 1:
        raise InvalidMedia("it has no samples")
    if frames / rate > max_seconds or frames * channels > MAX_SAMPLES:
        raise InvalidMedia(f"it is {frames / rate:,.1f} s long, and `max_seconds` is {max_seconds:g}")


def _decoded(value: pa.Scalar, max_seconds: float) -> Sound:
    channels, rate = value["channels"].as_py(), value["rate"].as_py()
    if not value["samples"].is_valid or channels is None or rate is None:
        raise InvalidMedia("its samples, channels or rate are missing")
    data = bytes_of(value["samples"])
    if channels < 1 or len(data) % (4 * channels):
        raise InvalidMedia(f"its {len(data)} bytes are not float32 samples of {channels} channels")
    bounded(len(data) // (4 * channels), channels, rate, max_seconds)
    return Sound(_finite(np.frombuffer(data, np.float32).reshape(-1, channels)), rate)


def _opened(value: pa.Scalar, max_seconds: float) -> Sound:
    soundfile = needed("soundfile", "soundfile", "decoding sounds")
    data = bytes_of(value)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            frames, rate = int(file.frames), int(file.samplerate)
            bounded(frames, int(file.channels), rate, max_seconds)
            samples = file.read(dtype="float32", always_2d=True)
    except InvalidMedia:
        raise
    except Exception as error:  # libsndfile's own errors, and what broken headers make of the numbers in them
        raise InvalidMedia(f"its {len(data)} bytes are not audio that libsndfile reads: {error}") from None
    if len(samples) < frames:
        raise InvalidMedia(f"it breaks off after {len(samples)} of {frames} frames")
    return Sound(_finite(samples), rate)


def _listed(value: pa.Scalar, orig_sr: int, max_seconds: float) -> Sound:
    inner, depth = value.type, 0
    while pa.types.is_list(inner) or pa.types.is_large_list(inner) or pa.types.is_fixed_size_list(inner):
        inner, depth = inner.value_type, depth + 1
    if depth not in (1, 2) or not (pa.types.is_integer(inner) or pa.types.is_floating(inner)):
        raise StepError(f"it holds {value.type}: neither files nor lists of samples")
    if not orig_sr:
        raise StepError("it holds lists of samples; give the step their rate as `orig_sr`")
    try:
        samples = np.array(value.as_py(), np.float64)
    except (TypeError, ValueError):
        raise InvalidMedia("its lists are not all of one length") from None
    samples = samples.reshape(len(samples), -1) if len(samples) else samples.reshape(0, 1)
    bounded(*samples.shape, orig_sr, max_seconds)
    return Sound(_finite(samples.astype(np.float32)), orig_sr)


def _finite(samples: Any) -> NDArray[np.float32]:
    if not np.isfinite(samples).all():
        raise InvalidMedia("some of its samples are missing or infinite")
    made: NDArray[np.float32] = samples
    return made
