"""Log-mel spectrograms and mel-frequency cepstral coefficients, as librosa works them out, in numpy and scipy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.recipe.steps.media import InvalidMedia

Row = NDArray[np.float64]

_LEAST = 1e-10  # power below which nothing is heard; librosa's amin
_TOP_DB = 80.0  # what is quieter than the loudest by more is cut, so that silence does not outweigh all else
_MOST_CELLS = 50_000_000  # 400 MB
_FRAMES = 256  # transformed at once: a long sound needs no more memory than a short one
STATISTICS: dict[str, Callable[..., Any]] = {
    "mean": np.mean,
    "std": np.std,
    "min": np.min,
    "max": np.max,
    "median": np.median,
}


def log_mel(samples: Row, rate: int, n_fft: int, hop_length: int, n_mels: int, fmin: float, fmax: float) -> Row:
    """(n_mels, frames), dB: the power in each mel band, frame by frame.

    samples    (n,), one channel. Frames are centred on every hop_length-th sample, zeros before and behind; each is
               weighted by a Hann window of n_fft samples
    Raises     InvalidMedia for more frames than memory is meant to hold
    Reference  Davis & Mermelstein (1980), IEEE Transactions on Acoustics, Speech, and Signal Processing 28(4);
               librosa's feature.melspectrogram and power_to_db.
    """
    from scipy import fft, signal

    window = signal.get_window("hann", n_fft)
    bands = filter_bank(rate, n_fft, n_mels, fmin, fmax).T
    around = np.pad(samples, n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(around, n_fft)[::hop_length]
    if len(frames) * n_mels > _MOST_CELLS:
        raise InvalidMedia(f"{len(frames):,} frames of {n_mels} bands are too many; choose a longer hop_length")
    power = np.empty((len(frames), n_mels))
    for first in range(0, len(frames), _FRAMES):
        spectrum = fft.rfft(frames[first : first + _FRAMES] * window, axis=1)
        power[first : first + _FRAMES] = (spectrum.real**2 + spectrum.imag**2) @ bands
    loudness = 10.0 * np.log10(np.maximum(_LEAST, power.T))
    cut: Row = np.maximum(loudness, loudness.max() - _TOP_DB)
    return cut


def mfcc(loudness: Row, n_mfcc: int) -> Row:
    """(n_mfcc, frames): the first coefficients of the cosine transform (DCT-II, orthonormal) of each frame."""
    from scipy import fft

    made: Row = fft.dct(loudness, type=2, axis=0, norm="ortho")[:n_mfcc]
    return made


def summed_up(rows: Row, statistics: Sequence[str]) -> Row:
    """(rows × statistics,): of each row its statistics over time, one row after the other."""
    return np.stack([STATISTICS[statistic](rows, axis=1) for statistic in statistics], axis=1).ravel()


@functools.lru_cache(maxsize=32)
def filter_bank(rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> Row:
    """(n_mels, 1 + n_fft // 2): triangles over frequencies, each of area one, evenly spread over the mel scale.

    Reference  Slaney (1998), Auditory Toolbox, Technical Report 1998-010.
    """
    frequencies = np.linspace(0, rate / 2, 1 + n_fft // 2)
    borders = _hertz(np.linspace(_mel(fmin), _mel(fmax), n_mels + 2))
    widths = np.diff(borders)
    slopes = borders[:, None] - frequencies
    rising, falling = -slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]
    made = np.maximum(0, np.minimum(rising, falling)) * (2.0 / (borders[2:] - borders[:-2]))[:, None]
    made.setflags(write=False)
    return made


# Slaney's scale: even up to 1000 Hz, even in the logarithm from there on.
_STEP = 200.0 / 3
_BEND = 1000.0
_LOG_STEP = np.log(6.4) / 27.0


def _mel(hertz: float) -> float:
    return hertz / _STEP if hertz < _BEND else _BEND / _STEP + float(np.log(hertz / _BEND)) / _LOG_STEP


def _hertz(mel: Row) -> Row:
    bend = _BEND / _STEP
    return np.where(mel < bend, mel * _STEP, _BEND * np.exp(_LOG_STEP * (np.maximum(mel, bend) - bend)))
