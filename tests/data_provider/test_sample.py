"""The embedded sample: the same numbers everywhere, and a best forecast that is the best and looks at no future."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from data_provider import sample as module
from data_provider.sample import CHANNELS, HIDDEN_STEP, OWN_MEMORY, ROWS, SHARED_MEMORY, Sample, make_sample

PRED_LEN = 48
ORIGINS = np.arange(500, ROWS - PRED_LEN)
LAGS = {channel.name: channel.lag for channel in CHANNELS}

# Per channel: the first row, the last row, and the mean and standard deviation of all rows.
FIRST = (20.4593027512, 40.4970604192, 14.4499839866, 51.8202240042, 8.40497441745, 96.3768942325, 21.8171098309)
LAST = (18.4917855863, 35.4991266984, 9.55998305392, 61.0907380233, 7.44177579525, 105.944359001, 20.1351350769)
MEAN = (21.5030772679, 35.005375955, 10.5255679202, 52.9734443878, 8.00324346605, 104.495735537, 24.9843717179)
STD = (2.68038792762, 3.29873216991, 1.96530405662, 4.50669852308, 1.30030772597, 6.86544703886, 2.54479860369)


@pytest.fixture
def sample() -> Sample:
    return make_sample()


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """What changes the recipe; a sample that was made before or in this test does not count."""
    make_sample.cache_clear()
    yield monkeypatch
    make_sample.cache_clear()


def noise_floor(pred_len: int) -> np.ndarray:
    """The expected squared error of the best forecast, (H, C), in the units of the series squared."""
    ahead = np.arange(pred_len)
    floor = np.empty((pred_len, len(CHANNELS)))
    for c, channel in enumerate(CHANNELS):
        unseen = np.maximum(0, ahead - channel.lag + 1)
        shared = (1 - SHARED_MEMORY ** (2 * unseen)) / (1 - SHARED_MEMORY**2)
        own = (1 - OWN_MEMORY ** (2 * (ahead + 1))) / (1 - OWN_MEMORY**2)
        floor[:, c] = channel.gain**2 * HIDDEN_STEP**2 * shared + channel.own_noise**2 * own
    return floor


def truth(sample: Sample, origins: np.ndarray, pred_len: int = PRED_LEN) -> np.ndarray:
    return sample.frame.values[origins[:, None] + np.arange(pred_len)]


def test_the_sample_has_the_numbers_it_always_had(sample: Sample) -> None:
    values = sample.frame.values
    assert values.shape == (7200, 7)
    assert sample.frame.columns == tuple(LAGS)
    np.testing.assert_allclose(values[0], FIRST, rtol=1e-9)
    np.testing.assert_allclose(values[-1], LAST, rtol=1e-9)
    np.testing.assert_allclose(values.mean(0), MEAN, rtol=1e-9)
    np.testing.assert_allclose(values.std(0), STD, rtol=1e-9)


def test_the_sample_is_hourly_and_ends_with_the_target(sample: Sample) -> None:
    steps = np.diff(sample.frame.dates.to_numpy())
    assert (steps == np.timedelta64(1, "h")).all()
    assert sample.frame.columns[-1] == "OT"


def test_the_channels_show_the_hidden_process_after_their_lag(sample: Sample) -> None:
    for c, channel in enumerate(CHANNELS):
        shown = sample.frame.values[:, c] - sample.expected[:, c] - sample.own[:, c]
        hidden = sample.hidden[sample.offset - channel.lag :][:ROWS]
        np.testing.assert_allclose(shown, channel.gain * hidden, atol=1e-12)


def test_the_leader_has_no_noise_of_its_own_so_that_the_hidden_process_is_known(sample: Sample) -> None:
    leader = sample.frame.columns.index("leader")
    assert CHANNELS[leader].lag == 0
    assert not sample.own[:, leader].any()


def test_the_error_of_the_best_forecast_is_the_noise_floor(sample: Sample) -> None:
    error = np.square(sample.best_forecast(ORIGINS, PRED_LEN) - truth(sample, ORIGINS)).mean(0)
    # The hidden process remembers 20 hours, so that 6,600 origins count as about 170: one standard error is 11 %.
    floor = noise_floor(PRED_LEN)
    known = floor == 0
    np.testing.assert_allclose(error[known], 0, atol=1e-20)
    np.testing.assert_allclose(error[~known], floor[~known], rtol=0.33)
    np.testing.assert_allclose(error.mean(0), floor.mean(0), rtol=0.2)


def test_without_noise_the_best_forecast_is_the_truth(changed: pytest.MonkeyPatch) -> None:
    changed.setattr(module, "HIDDEN_STEP", 0.0)
    changed.setattr(module, "CHANNELS", tuple(replace(channel, own_noise=0.0) for channel in CHANNELS))
    quiet = make_sample()
    origins = np.arange(200, 700)
    np.testing.assert_allclose(quiet.best_forecast(origins, PRED_LEN), truth(quiet, origins), rtol=1e-12)


def test_a_channel_without_noise_of_its_own_is_known_within_its_lag(changed: pytest.MonkeyPatch) -> None:
    changed.setattr(module, "CHANNELS", tuple(replace(channel, own_noise=0.0) for channel in CHANNELS))
    shown = make_sample()
    origins = np.arange(200, 700)
    error = np.abs(shown.best_forecast(origins, PRED_LEN) - truth(shown, origins)).max(0)
    for c, channel in enumerate(CHANNELS):
        assert (error[: channel.lag, c] < 1e-12).all(), channel.name
        if channel.gain:
            assert (error[channel.lag :, c] > 1e-3).all(), channel.name


@pytest.mark.parametrize("origin", [100, 3600, ROWS - PRED_LEN])
def test_the_best_forecast_looks_at_no_row_from_the_origin_on(sample: Sample, origin: int) -> None:
    hidden, own, values = sample.hidden.copy(), sample.own.copy(), sample.frame.values.copy()
    hidden[sample.offset + origin :] += 1e6
    own[origin:] += 1e6
    values[origin:] += 1e6
    other = replace(sample, hidden=hidden, own=own, frame=replace(sample.frame, values=values))
    origins = np.array([origin])
    np.testing.assert_array_equal(other.best_forecast(origins, PRED_LEN), sample.best_forecast(origins, PRED_LEN))


def test_the_best_forecast_looks_at_the_last_row_before_the_origin(sample: Sample) -> None:
    hidden = sample.hidden.copy()
    hidden[sample.offset + 999] += 1
    other = replace(sample, hidden=hidden)
    moved = other.best_forecast(np.array([1000]), PRED_LEN) - sample.best_forecast(np.array([1000]), PRED_LEN)
    leader = sample.frame.columns.index("leader")
    np.testing.assert_allclose(moved[0, :, leader], module.SHARED_MEMORY ** np.arange(1, PRED_LEN + 1), rtol=1e-9)


def test_a_batch_of_origins_equals_one_after_the_other(sample: Sample) -> None:
    origins = np.array([700, 30, 5000])
    batch = sample.best_forecast(origins, 12)
    assert batch.shape == (3, 12, len(CHANNELS))
    for i, origin in enumerate(origins):
        np.testing.assert_array_equal(batch[i], sample.best_forecast(np.array([origin]), 12)[0])
