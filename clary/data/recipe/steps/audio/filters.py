"""Audio into audio: another sampling rate, a band of frequencies. See `decoding` for the forms of a column."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from clary.data.batch import Batch, Schema
from clary.data.recipe.step import Fitting, check_choice, need, step
from clary.data.recipe.steps.audio.decoding import MAX_RATE, Sound, bounded, packed, sound_of
from clary.data.recipe.steps.media import InvalidMedia, MediaStep, SameColumns, counts

BANDS = ("lowpass", "highpass", "bandpass", "bandstop")


@dataclass(frozen=True, kw_only=True)
class AudioStep(MediaStep):
    """orig_sr      frames a second of columns of lists, which carry no rate
    max_seconds  a longer sound is an error
    errors       "raise", or "missing": what cannot be decoded becomes a missing value
    """

    orig_sr: int = 0
    max_seconds: float = 600.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.orig_sr:
            counts("orig_sr", self.orig_sr, most=MAX_RATE)
        need(0 < self.max_seconds <= 86_400, "a figure in (0, 86400] is wanted", "max_seconds")


@dataclass(frozen=True)
class AudioTransform(SameColumns):
    orig_sr: int
    max_seconds: float

    @abstractmethod
    def process(self, sound: Sound) -> Sound:
        """Of one sound. Raises InvalidMedia where it cannot be."""

    def transform(self, batch: Batch) -> Batch:
        def read(value: Any) -> Sound:
            return sound_of(value, self.orig_sr, self.max_seconds)

        return batch.replaced((), {name: packed(self.rows_of(batch, name, self.process, read)) for name in self.names})


@step
@dataclass(frozen=True, kw_only=True)
class AudioResample(AudioStep):
    """All sounds of one rate, by a polyphase filter (scipy's resample_poly).

    target_sr  frames a second
    orig_sr, max_seconds, errors  as in every audio step: the rate of lists, the longest sound that is taken, and what
               becomes of sounds that are broken
    """

    name = "audio_resample"
    keeps_schema = True

    target_sr: int

    def __post_init__(self) -> None:
        super().__post_init__()
        counts("target_sr", self.target_sr, most=MAX_RATE)

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        return FittedResample(
            self.some_chosen(schema), self.errors, self.orig_sr, self.max_seconds, target_sr=self.target_sr
        )


@dataclass(frozen=True)
class FittedResample(AudioTransform):
    target_sr: int

    def process(self, sound: Sound) -> Sound:
        return resampled(sound, self.target_sr, self.max_seconds)


def resampled(sound: Sound, rate: int, max_seconds: float) -> Sound:
    """At another rate; as long as before, to a frame. Raises InvalidMedia where that would be too much to hold."""
    if sound.rate == rate:
        return sound
    from scipy import signal

    frames, channels = sound.samples.shape
    bounded(max(1, frames * rate // sound.rate), channels, rate, max_seconds + 1)
    common = math.gcd(rate, sound.rate)
    made = signal.resample_poly(sound.samples.astype(np.float64), rate // common, sound.rate // common, axis=0)
    return Sound(made.astype(np.float32), rate)


@step
@dataclass(frozen=True, kw_only=True)
class AudioBand(AudioStep):
    """Only some frequencies of each sound, by a Butterworth filter run forwards and backwards, so that nothing is late.

    btype   "lowpass" and "highpass": below, above one frequency; "bandpass" and "bandstop": between two, or not
    cutoff  the frequencies, in Hz, one or two; below half of each sound's rate
    order   of the filter; it is run twice
    orig_sr, max_seconds, errors  as in `audio_resample`
    Reference  scipy's signal.butter and sosfiltfilt.
    """

    name = "audio_band"
    keeps_schema = True

    btype: Literal["lowpass", "highpass", "bandpass", "bandstop"]
    cutoff: tuple[float, ...]
    order: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("btype", self.btype, BANDS)
        wanted = 1 if self.btype in ("lowpass", "highpass") else 2
        need(len(self.cutoff) == wanted, f"{self.btype} wants {wanted}", "cutoff")
        need(
            all(math.isfinite(frequency) and frequency > 0 for frequency in self.cutoff),
            "frequencies above 0 are wanted",
            "cutoff",
        )
        need(list(self.cutoff) == sorted(set(self.cutoff)), "the lower one first", "cutoff")
        counts("order", self.order, most=20)

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        return FittedBand(
            self.some_chosen(schema),
            self.errors,
            self.orig_sr,
            self.max_seconds,
            self.btype,
            tuple(float(frequency) for frequency in self.cutoff),
            self.order,
        )


@dataclass(frozen=True)
class FittedBand(AudioTransform):
    btype: str
    cutoff: tuple[float, ...]
    order: int

    def process(self, sound: Sound) -> Sound:
        from scipy import signal

        if max(self.cutoff) >= sound.rate / 2:
            raise InvalidMedia(f"at {sound.rate} frames a second it has no frequencies of {max(self.cutoff):g} Hz")
        cutoff = self.cutoff if len(self.cutoff) == 2 else self.cutoff[0]
        sections = signal.butter(self.order, cutoff, self.btype, fs=sound.rate, output="sos")
        # By default sosfiltfilt mirrors up to so many frames at both ends; a short sound has no more than itself.
        most, frames = 3 * (2 * len(sections) + 1), len(sound.samples)
        around = None if frames > most else frames - 1
        made = signal.sosfiltfilt(sections, sound.samples.astype(np.float64), axis=0, padlen=around)
        return Sound(made.astype(np.float32), sound.rate)
