"""Sounds made into numbers: how loud each band of frequencies is, and the shape of that over the bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Block, Field, Kind, Schema
from clary.data.recipe.step import Fitting, check_choice, need, step
from clary.data.recipe.steps.audio import mel
from clary.data.recipe.steps.audio.decoding import MAX_RATE, Sound, sound_of
from clary.data.recipe.steps.audio.filters import AudioStep, resampled
from clary.data.recipe.steps.features import check_free
from clary.data.recipe.steps.media import PerRow, counts, stacked


@dataclass(frozen=True, kw_only=True)
class _Spectral(AudioStep):
    sr: int = 22_050
    n_fft: int = 2_048
    hop_length: int = 512
    n_mels: int = 128
    fmin: float = 0.0
    fmax: float | None = None
    statistics: tuple[str, ...] = ("mean", "std")
    keep_columns: bool = False

    suffix: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        counts("sr", self.sr, most=MAX_RATE)
        counts("n_fft", self.n_fft, most=1 << 20)
        counts("hop_length", self.hop_length, most=1 << 20)
        counts("n_mels", self.n_mels, most=1_024)
        need(self.n_fft >= 2, "2 at least", "n_fft")
        highest = self.sr / 2
        need(0 <= self.fmin < highest, f"not from 0 to half of `sr`, {highest:g} Hz", "fmin")
        need(
            self.fmax is None or self.fmin < self.fmax <= highest,
            f"not above fmin and up to half of `sr`, {highest:g} Hz",
            "fmax",
        )
        need(bool(self.statistics), "at least one is needed", "statistics")
        need(len(set(self.statistics)) == len(self.statistics), "a statistic is named twice", "statistics")
        for statistic in self.statistics:
            check_choice("statistics", statistic, mel.STATISTICS)

    @property
    def count(self) -> int:
        """Rows of which the statistics are taken."""
        return self.n_mels

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        fitted = FittedSpectral(
            names=self.some_chosen(schema),
            errors=self.errors,
            orig_sr=self.orig_sr,
            max_seconds=self.max_seconds,
            sr=self.sr,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            n_mels=self.n_mels,
            fmin=float(self.fmin),
            fmax=self.sr / 2 if self.fmax is None else float(self.fmax),
            n_mfcc=0 if self.suffix == "mel" else self.count,
            statistics=self.statistics,
            keep_columns=self.keep_columns,
            suffix=self.suffix,
        )
        check_free(schema, fitted.removed, [name for field in fitted.made for name in (field.name, *field.names)])
        return fitted


@step
@dataclass(frozen=True, kw_only=True)
class AudioSpectrogram(_Spectral):
    """How loud each mel band is, in dB: mean and standard deviation over time; columns clip_mel_1_mean,
    clip_mel_1_std, …, one block clip_mel. The spectrogram is librosa's.

    sr            frames a second: sounds of another rate are resampled to it, so that bands mean the same for all
    n_fft         samples in a frame
    hop_length    samples from one frame to the next
    n_mels        bands, evenly spread over the mel scale
    fmin, fmax    between these, in Hz; fmax left out: half of sr
    statistics    of each band over time: "mean", "std", "min", "max", "median"
    keep_columns  whether the sounds stay
    orig_sr, max_seconds, errors  as in `audio_resample`. Channels are averaged
    Reference     Davis & Mermelstein (1980), IEEE Transactions on Acoustics, Speech, and Signal Processing 28(4).
    """

    name = "audio_spectrogram"
    suffix = "mel"


@step
@dataclass(frozen=True, kw_only=True)
class AudioMfcc(_Spectral):
    """Mel-frequency cepstral coefficients, the timbre of a sound: mean and standard deviation over time; columns
    clip_mfcc_1_mean, clip_mfcc_1_std, …, one block clip_mfcc. The coefficients are librosa's.

    n_mfcc        coefficients
    sr, n_fft, hop_length, n_mels, fmin, fmax, statistics, keep_columns  as in `audio_spectrogram`
    orig_sr, max_seconds, errors  as in `audio_resample`. Channels are averaged
    Reference     Davis & Mermelstein (1980), IEEE Transactions on Acoustics, Speech, and Signal Processing 28(4).
    """

    name = "audio_mfcc"
    suffix = "mfcc"

    n_mfcc: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        counts("n_mfcc", self.n_mfcc, most=self.n_mels)

    @property
    def count(self) -> int:
        return self.n_mfcc


@dataclass(frozen=True)
class FittedSpectral(PerRow):
    """n_mfcc  0: the bands themselves."""

    orig_sr: int
    max_seconds: float
    sr: int
    n_fft: int
    hop_length: int
    n_mels: int
    fmin: float
    fmax: float
    n_mfcc: int
    statistics: tuple[str, ...]
    keep_columns: bool
    suffix: str

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(f"{name}_{self.suffix}", Kind.BLOCK, self._inner(name)) for name in self.names)

    def _inner(self, name: str) -> tuple[str, ...]:
        places = range(1, (self.n_mfcc or self.n_mels) + 1)
        return tuple(f"{name}_{self.suffix}_{place}_{statistic}" for place in places for statistic in self.statistics)

    @property
    def removed(self) -> tuple[str, ...]:
        return () if self.keep_columns else self.names

    def transform(self, batch: Batch) -> Batch:
        made = {}
        for field, name in zip(self.made, self.names, strict=True):
            rows = self.rows_of(
                batch, name, self.process, lambda value: sound_of(value, self.orig_sr, self.max_seconds)
            )
            made[field.name] = Block(field.names, stacked(rows, len(field.names)))
        return batch.replaced(self.removed, made)

    def _decoded(self, value: Any) -> Sound:
        return sound_of(value, self.orig_sr, self.max_seconds)

    def process(self, sound: Sound) -> NDArray[np.float64]:
        """The numbers of one sound."""
        samples = resampled(sound, self.sr, self.max_seconds).mono()
        found = mel.log_mel(samples, self.sr, self.n_fft, self.hop_length, self.n_mels, self.fmin, self.fmax)
        return mel.summed_up(mel.mfcc(found, self.n_mfcc) if self.n_mfcc else found, self.statistics)
