"""Rows as a run would measure them."""

from bench.measuring import Latency, Measurement, Usage
from bench.running import Row

__all__ = ["row"]


def row(server: str, *cpu_seconds: float, preset: str = "fanout-50", suffix: str = "") -> Row:
    """Return a row of a thousand deliveries, so that its CPU time is in ms per delivery.

    *cpu_seconds* are of each process of the server.
    """
    used = {f"{server}{number or ''}": it for number, it in enumerate(cpu_seconds)}
    usage = Usage(used, seconds=10.0, resident=2**20)
    latency = Latency(1.0, 20.0, 300.0)
    measured = Measurement(suffix, "delivery", 1_000, usage, latency, polls=50, poll_bytes=2048.0)
    return Row(server, preset, "element", measured)
