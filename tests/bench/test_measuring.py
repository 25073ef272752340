"""Percentiles, and the figures of a measurement."""

import os

import pytest

from bench.machine import share_cores
from bench.measuring import Latency, Meter, percentile
from tests.bench.rows import row


def test_percentiles() -> None:
    """A percentile is one of the values, with at least that share of them not above it."""
    values = [float(it) for it in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.5) == 7.0
    assert percentile([1.0, 2.0], 0.99) == 2.0


def test_latency() -> None:
    """Latencies are given in seconds, in any order, and shown in milliseconds."""
    assert Latency.of([0.5, 0.25]) == Latency(p50=250, p95=500, p99=500)
    assert Latency.of([]) is None


def test_cpu_time_per_unit() -> None:
    """The main figure is the CPU time of all processes divided by what was delivered, in µs."""
    assert row("synapse", 1.5, 1).measurement.cpu_micros == pytest.approx(2_500)


def test_meter() -> None:
    """A meter knows what was used within the block, and lets the process run anywhere after it."""
    cores = os.sched_getaffinity(0)
    meter = Meter({"this": os.getpid()}, share_cores())
    with meter.running():
        assert os.sched_getaffinity(0) < cores or len(cores) == 1
    assert os.sched_getaffinity(0) == cores
    assert meter.usage.cpu_by_process["this"] > 0
