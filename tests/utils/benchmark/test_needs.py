"""Arithmetic and memory told from one and two windows."""

import gc
from dataclasses import replace
from weakref import ref

import pytest

from tests.utils.benchmark.tiny import CPU, TINY
from utils.benchmark.contestants import Bench, Mode
from utils.benchmark.needs import arithmetic, flops, plain_bytes, saved_bytes, training_bytes

FIVE = replace(TINY, batch_size=5)


def test_counts_the_arithmetic_of_a_forecast_in_full() -> None:
    width, tokens, pairs = 96, 2 * 3, 2 * 3 * 3
    encoder = 4 * width**2 + 2 * width * 2048
    block = 12 * width**2
    linear = 24 * width + encoder + TINY.gpt_layers * block + width * 8
    attention = 2 * width * pairs * (1 + TINY.gpt_layers)
    assert arithmetic(TINY).evaluation == pytest.approx(2 * (tokens * linear + attention), rel=0.01)


def test_the_arithmetic_of_a_batch_follows_from_two_windows() -> None:
    bench, told = Bench(FIVE, CPU), arithmetic(FIVE)
    assert told.train == flops(bench.train_step)
    with bench.evaluating():
        assert told.evaluation == flops(bench.evaluate)
    assert told.train > 2 * told.evaluation


def test_memory_holds_what_the_forward_pass_keeps_and_is_less_when_recomputed() -> None:
    size = replace(TINY, batch_size=64)
    kept = saved_bytes(Bench(size, CPU))
    assert kept < training_bytes(size, Mode()) < 2 * kept
    assert training_bytes(size, Mode(grad_checkpoint=True)) < 0.7 * training_bytes(size, Mode())
    larger = replace(size, batch_size=128)
    more = training_bytes(larger, Mode()) - training_bytes(size, Mode())
    assert more == pytest.approx(saved_bytes(Bench(larger, CPU)) - kept, rel=0.1)


def test_the_plain_restatement_keeps_more() -> None:
    size = replace(TINY, batch_size=64)
    assert plain_bytes(size) > training_bytes(size, Mode()) > saved_bytes(Bench(size, CPU))


def test_no_model_stays_in_memory_after_the_estimate() -> None:
    bench = Bench(TINY, CPU)
    model = ref(bench.model)
    saved_bytes(bench)
    del bench
    gc.collect()
    assert model() is None
