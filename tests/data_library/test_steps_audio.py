"""Sounds: what is taken, what is refused, and figures beside librosa's and scipy's."""

from __future__ import annotations

import io
import sys
from contextlib import suppress

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from clary.data.batch import Batch
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.steps.audio import decoding, mel
from clary.data.recipe.steps.audio.decoding import SOUND, Sound, packed, sound_of
from clary.data.recipe.steps.audio.features import AudioMfcc, AudioSpectrogram
from clary.data.recipe.steps.audio.filters import AudioBand, AudioResample
from tests.data_library.feature_checks import assert_made_as_declared, assert_same_by_row, fitted

RATE = 22_050


def tone(rate: int = RATE, seconds: float = 1.3) -> np.ndarray:
    """A rising tone, and a steady high one that sets in after half a second."""
    t = np.arange(int(rate * seconds)) / rate
    return 0.5 * np.sin(2 * np.pi * 440 * t * (1 + 0.3 * t)) + 0.2 * np.sin(2 * np.pi * 3000 * t) * (t > 0.5)


def encoded(samples: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str | None = "FLOAT") -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, subtype=subtype, format=kind)
    return stream.getvalue()


def table(*files: bytes | None) -> pa.Table:
    return pa.table({"clip": pa.array(list(files), pa.binary())})


def made(step, data: pa.Table) -> list[Sound | None]:
    """The sounds a step makes."""
    ours = fitted(step, data)
    assert_made_as_declared(ours, data)
    found = ours.transform(Batch.of_arrow(data))["clip"]
    assert found.type == SOUND
    return [sound_of(value, 0, 1_000) if value.is_valid else None for value in found]


def checksum(values) -> list[float]:
    values = np.asarray(values, np.float64).ravel()
    return [len(values), float(values.sum()), float((values * (np.arange(len(values)) % 101)).sum())]


# ---- forms ----


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16")])
@pytest.mark.parametrize("channels", [1, 2])
def test_files_without_loss_decode_to_their_samples(kind, subtype, channels):
    whole = np.random.default_rng(0).integers(-30_000, 30_000, (500, channels)).astype(np.int16)
    found = sound_of(pa.scalar(encoded(whole, 8_000, kind, subtype)), 0, 10)
    assert found.rate == 8_000
    np.testing.assert_array_equal(found.samples, whole / 32_768)


def test_ogg_decodes_too():
    found = sound_of(pa.scalar(encoded(tone(), kind="OGG", subtype="VORBIS")), 0, 10)
    assert np.corrcoef(found.mono()[: len(tone())], tone())[0, 1] > 0.99


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[0.0, 0.5, -0.5]], pa.list_(pa.float32())),
        pa.array([[0.0, 0.5, -0.5]], pa.list_(pa.float64(), 3)),
        pa.array([[[0.0], [0.5], [-0.5]]]),
    ],
)
def test_lists_are_sounds_too_where_their_rate_is_reported(column):
    (found,) = made(AudioResample(target_sr=4, orig_sr=4), pa.table({"clip": column}))
    assert found.rate == 4
    np.testing.assert_array_equal(found.samples[:, 0], [0, 0.5, -0.5])
    with pytest.raises(StepError, match=r"column 'clip': .*`orig_sr`"):
        made(AudioResample(target_sr=4), pa.table({"clip": column}))


def test_decoded_sounds_pass_from_step_to_step():
    sound = Sound(tone().astype(np.float32)[:, None], RATE)
    (same,) = made(AudioResample(target_sr=RATE), pa.table({"clip": packed([None, sound, None]).slice(1, 1)}))
    np.testing.assert_array_equal(same.samples, sound.samples)


# ---- what is broken, or hostile ----

WHOLE = encoded(tone(seconds=0.1))
FLAC = encoded(tone(seconds=0.5), kind="FLAC", subtype="PCM_16")


BROKEN = {
    "empty": b"",
    "a header alone": b"RIFF" + b"\0" * 60,
    "no audio": b"no sound at all" * 10,
    "part of a header": WHOLE[:20],
    "half of a FLAC": FLAC[: len(FLAC) // 2],
    "no frames": encoded(np.empty((0, 1))),
    "a sample that is NaN": encoded(np.array([[0.0], [np.nan]])),
}


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)  # the bytes of a WAV differ: it holds the time
def test_a_broken_file_names_its_row_and_column_or_is_missing(value):
    data = table(WHOLE, value, None)
    with pytest.raises(StepError, match=r"column 'clip': row 1 \(the first is 0\).*errors: missing"):
        made(AudioResample(target_sr=8_000), data)
    found = made(AudioResample(target_sr=8_000, errors="missing"), data)
    assert [clip is None for clip in found] == [False, True, True]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([WHOLE, FLAC, encoded(tone(seconds=0.1), kind="OGG", subtype="VORBIS")]),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=6),
    st.integers(0, 2_000),
)
def test_any_damage_to_a_file_is_reported_or_harmless(whole, changes, cut):
    data = bytearray(whole)
    for place, value in changes:
        data[place % len(data)] = value
    with suppress(decoding.InvalidMedia):
        found = sound_of(pa.scalar(bytes(data[: len(data) - cut % len(data)])), 0, 10)
        assert np.isfinite(found.samples).all()


def test_a_sound_that_is_too_long_is_not_decoded(monkeypatch):
    silence = encoded(np.zeros(8_000 * 60, np.int16), 8_000, "FLAC", "PCM_16")
    assert len(silence) < 30_000
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *args, **more: pytest.fail("it was decoded"))
    for step in (AudioResample(target_sr=8_000, max_seconds=59), AudioMfcc(max_seconds=59)):
        with pytest.raises(StepError, match=r"it is 60\.0 s long, and `max_seconds` is 59"):
            fitted(step, table(silence)).transform(Batch.of_arrow(table(silence)))
    monkeypatch.setattr(decoding, "MAX_SAMPLES", 1_000)
    with pytest.raises(StepError, match=r"it is 60\.0 s long"):
        made(AudioResample(target_sr=8_000), table(silence))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[["a"]]]), "neither files nor lists of samples"),
        (pa.array([[[[1.0]]]]), "neither files nor lists of samples"),
        (pa.array([{"a": 1}]), "neither files nor lists of samples"),
        (pa.array([[]], pa.list_(pa.float64())), "it has no samples"),
        (pa.array([[[1.0], [1.0, 2.0]]]), "not all of one length"),
        (pa.array([[1.0, None]]), "missing or infinite"),
        (pa.array([[[0.0] * 65]]), "65 channels"),
        (pa.array([{"samples": b"abc", "channels": 1, "rate": 8}], SOUND), "3 bytes are not float32 samples"),
        (pa.array([{"samples": b"abcd", "channels": 0, "rate": 8}], SOUND), "are not float32 samples"),
        (pa.array([{"samples": b"abcd", "channels": 1, "rate": 2**31 - 1}], SOUND), "its rate of 2147483647"),
        (pa.array([{"samples": b"abcd", "channels": 1, "rate": -1}], SOUND), "its rate of -1"),
        (pa.array([{"samples": None, "channels": 1, "rate": 8}], SOUND), "are missing"),
    ],
)
def test_lists_and_structs_that_are_no_sounds_are_reported(column, message):
    with pytest.raises(StepError, match="column 'clip'") as caught:
        made(AudioResample(target_sr=8, orig_sr=8), pa.table({"clip": column}))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AudioResample(target_sr=0), "target_sr: 0 is not from 1 to 384,000"),
        (lambda: AudioResample(target_sr=8_000, max_seconds=0), "max_seconds"),
        (lambda: AudioResample(target_sr=8_000, orig_sr=-1), "orig_sr"),
        (lambda: AudioBand(btype="notch", cutoff=(1.0,)), "btype: 'notch'"),
        (lambda: AudioBand(btype="lowpass", cutoff=(1.0, 2.0)), "cutoff: lowpass wants 1"),
        (lambda: AudioBand(btype="bandpass", cutoff=(2.0, 1.0)), "the lower one first"),
        (lambda: AudioBand(btype="lowpass", cutoff=(0.0,)), "above 0"),
        (lambda: AudioBand(btype="lowpass", cutoff=(float("nan"),)), "above 0"),
        (lambda: AudioBand(btype="lowpass", cutoff=(9.0,), order=50), "order: 50 is not from 1 to 20"),
        (lambda: AudioMfcc(n_mfcc=129), "n_mfcc: 129 is not from 1 to 128"),
        (lambda: AudioMfcc(fmin=12_000), "fmin"),
        (lambda: AudioMfcc(fmax=12_000), "fmax"),
        (lambda: AudioMfcc(statistics=()), "statistics"),
        (lambda: AudioMfcc(statistics=("mean", "mean")), "named twice"),
        (lambda: AudioMfcc(statistics=("mode",)), "'mode' is not one of"),
        (lambda: AudioSpectrogram(hop_length=0), "hop_length"),
    ],
)
def test_parameters_that_are_wrong_for_any_sound_are_refused(make, message):
    with pytest.raises(RecipeError, match=message):
        make()


def test_columns_that_are_no_sounds_are_refused():
    with pytest.raises(StepError, match="no columns of files or lists"):
        fitted(AudioMfcc(), pd.DataFrame({"a": [1.0]}))


# ---- sounds into sounds ----


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 22_051])
def test_a_tone_of_another_rate_is_that_tone(rate):
    t = np.arange(RATE) / RATE
    steady = np.sin(2 * np.pi * 1_000 * t)
    (found,) = made(AudioResample(target_sr=rate), table(encoded(np.column_stack([steady, -steady]))))
    assert (found.rate, found.samples.shape[1]) == (rate, 2)
    assert abs(len(found.samples) - rate) <= 1
    inner = slice(rate // 10, -rate // 10)  # away from the ends, where there is nothing to go on
    wanted = np.sin(2 * np.pi * 1_000 * np.arange(len(found.samples)) / rate)
    np.testing.assert_allclose(found.samples[inner, 0], wanted[inner], atol=5e-3)
    np.testing.assert_array_equal(found.samples[:, 1], -found.samples[:, 0])


def test_resampling_a_moment_to_very_many_frames_is_bounded(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_SAMPLES", 100_000)
    with pytest.raises(StepError, match="row 0"):
        made(AudioResample(target_sr=384_000), table(encoded(np.zeros(8_000), 8_000)))


@pytest.mark.parametrize(
    ("btype", "cutoff", "stays"),
    [
        ("lowpass", (1_000.0,), (200,)),
        ("highpass", (1_000.0,), (2_000, 5_000)),
        ("bandpass", (1_000.0, 3_000.0), (2_000,)),
        ("bandstop", (1_000.0, 3_000.0), (200, 5_000)),
    ],
)
def test_a_band_keeps_its_frequencies_and_no_others(btype, cutoff, stays):
    t = np.arange(RATE) / RATE
    parts = {hertz: 0.2 * np.sin(2 * np.pi * hertz * t) for hertz in (200, 2_000, 5_000)}
    (found,) = made(AudioBand(btype=btype, cutoff=cutoff), table(encoded(sum(parts.values()))))
    inner = slice(2_000, -2_000)
    wanted = sum(part for hertz, part in parts.items() if hertz in stays)
    np.testing.assert_allclose(found.samples[inner, 0], wanted[inner], atol=2e-3)


def test_a_band_is_scipys():
    (found,) = made(AudioBand(btype="lowpass", cutoff=(800.0,), order=4), table(encoded(tone())))
    sections = signal.butter(4, 800.0, "lowpass", fs=RATE, output="sos")
    wanted = signal.sosfiltfilt(sections, tone().astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(found.samples[:, 0], wanted, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 10])
def test_a_sound_of_few_frames_has_bands_and_coefficients_too(frames):
    data = table(encoded(np.linspace(0.1, 0.9, frames)))
    (found,) = made(AudioBand(btype="lowpass", cutoff=(800.0,)), data)
    assert found.samples.shape == (frames, 1)
    ours = fitted(AudioMfcc(), data)
    assert np.isfinite(ours.transform(Batch.of_arrow(data))["clip_mfcc"].matrix).all()


def test_a_band_that_a_sound_does_not_have_is_reported():
    with pytest.raises(StepError, match="at 8000 frames a second it has no frequencies of 4000 Hz"):
        made(AudioBand(btype="highpass", cutoff=(4_000.0,)), table(encoded(tone(8_000), 8_000)))


# ---- sounds into numbers ----


@pytest.mark.parametrize(
    ("options", "bands", "coefficients"),
    [
        (
            {},
            ([128, -5019.42662353012, -215025.9098212878], [128, 1191.608072620364, 46761.35038640119]),
            ([20, -462.6907335743522, -120.97914416000339], [20, 480.4346746868871, 4290.387573418092]),
        ),
        (
            {"n_mels": 40, "n_fft": 512, "hop_length": 160, "fmin": 50, "fmax": 8_000},
            ([40, -1884.0151841970396, -41470.25048407185], [40, 429.87507075157374, 6700.790613093696]),
            ([20, -335.06425925514304, -506.1548039870737], [20, 326.26463793480633, 2394.7857913696757]),
        ),
    ],
)
def test_log_mel_spectrograms_and_coefficients_are_librosas(options, bands, coefficients):
    """The checksums are of librosa 0.11's melspectrogram, power_to_db and mfcc of the same sound: mean and std."""
    data = table(encoded(tone()))
    for step, expected in ((AudioSpectrogram(**options), bands), (AudioMfcc(**options), coefficients)):
        ours = fitted(step, data)
        (row,) = ours.transform(Batch.of_arrow(data))[f"clip_{step.suffix}"].matrix
        np.testing.assert_allclose(checksum(row[0::2]), expected[0], rtol=1e-10)
        np.testing.assert_allclose(checksum(row[1::2]), expected[1], rtol=1e-10)
        assert_made_as_declared(ours, data)


def test_names_report_coefficient_and_statistic():
    data = table(encoded(tone()), None, encoded(tone()[:5_000]))
    ours = fitted(AudioMfcc(n_mfcc=2, statistics=("median", "max")), data)
    block = ours.transform(Batch.of_arrow(data))["clip_mfcc"]
    assert block.names == ("clip_mfcc_1_median", "clip_mfcc_1_max", "clip_mfcc_2_median", "clip_mfcc_2_max")
    assert np.isnan(block.matrix).all(axis=1).tolist() == [False, True, False]
    assert_same_by_row(ours, data)


def test_sounds_of_another_rate_and_more_channels_give_the_same():
    t = np.arange(44_100) / 44_100
    high = np.sin(2 * np.pi * 700 * t)
    sound = fitted(AudioSpectrogram(n_mels=20, fmax=4_000), table(WHOLE))
    fast = sound.transform(Batch.of_arrow(table(encoded(np.column_stack([high, high]), 44_100))))["clip_mel"]
    slow = sound.transform(Batch.of_arrow(table(encoded(high[::2]))))["clip_mel"]
    assert fast.matrix[0, ::2].argmax() == slow.matrix[0, ::2].argmax()
    assert fast.matrix[0, ::2].max() == pytest.approx(slow.matrix[0, ::2].max(), abs=0.1)


def test_several_features_come_of_one_sound():
    data = table(WHOLE)
    ours = fitted(AudioMfcc(), data, AudioSpectrogram(keep_columns=True))
    assert ours.removed == ("clip",)
    with pytest.raises(StepError, match="column 'clip_mel': there is such a column"):
        fitted(AudioSpectrogram(), data.append_column("clip_mel", pa.array([1.0])))


def test_more_frames_than_memory_is_meant_to_hold_are_reported(monkeypatch):
    monkeypatch.setattr(mel, "_MOST_CELLS", 1_000)
    ours = fitted(AudioSpectrogram(), table(WHOLE))
    with pytest.raises(StepError, match="choose a longer hop_length"):
        ours.transform(Batch.of_arrow(table(encoded(tone()))))


def test_sounds_without_soundfile_name_what_to_install(monkeypatch):
    ours = fitted(AudioResample(target_sr=8_000), table(WHOLE))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ValueError, match=r"pip install 'clary\[media\]'"):
        ours.transform(Batch.of_arrow(table(WHOLE)))
