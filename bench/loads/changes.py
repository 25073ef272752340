"""Presence changes that others watch: fan-out, mesh, router."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from time import perf_counter
from typing import Final, Protocol

from bench.ledger import Ledger
from bench.measuring import Latency, Measurement
from bench.shapes import Shape
from bench.stage import Party, Stage
from bench.waiting import pause

__all__ = ["Changes", "Closed", "Pace", "Steady"]

#: How long the last updates may take once nothing new is published, in seconds.
PATIENCE: Final = 120


class Pace(Protocol):
    """When the next change comes."""

    #: What the row of the table is called, after the preset.
    suffix: str

    async def drive(self, party: Party, publishers: Iterator[int], ledger: Ledger) -> None:
        """Let one publisher after the other change."""


@dataclass(frozen=True)
class Steady:
    """So many changes a second, whether the server keeps up or not."""

    per_second: float
    seconds: float
    suffix: str = ""

    async def drive(self, party: Party, publishers: Iterator[int], ledger: Ledger) -> None:
        began = perf_counter()
        for count in range(round(self.seconds * self.per_second)):
            await pause(began + count / self.per_second - perf_counter())
            party.change(next(publishers))


@dataclass(frozen=True)
class Closed:
    """The next change when all have received the last: as fast as both sides keep up."""

    seconds: float
    suffix: str = ""

    async def drive(self, party: Party, publishers: Iterator[int], ledger: Ledger) -> None:
        began = perf_counter()
        while perf_counter() - began < self.seconds:
            party.change(next(publishers))
            await ledger.settled(PATIENCE)


@dataclass(frozen=True)
class Changes:
    """The publishers of *shape* change in turn, once for each of *paces*."""

    shape: Shape
    paces: Sequence[Pace]

    async def run(self, stage: Stage) -> list[Measurement]:
        ledger = Ledger(self.shape.audiences())
        party = await stage.wire.gather(stage, self.shape, ledger)
        try:
            await self._greet(party, ledger)
            return [await self._measure(stage, party, ledger, pace) for pace in self.paces]
        finally:
            party.leave()

    async def _greet(self, party: Party, ledger: Ledger) -> None:
        """Let everybody publish once: what it takes to get going is not measured."""
        for publisher in self.shape.publishers:
            party.change(publisher)
        await ledger.settled(PATIENCE)

    async def _measure(
        self, stage: Stage, party: Party, ledger: Ledger, pace: Pace
    ) -> Measurement:
        advance = stage.progress.step(f"changes{pace.suffix}", 1)
        poll_bytes = (stage.meter.resident - party.resident_before) / party.polls
        ledger.start_anew()
        with stage.meter.running():
            await pace.drive(party, cycle(self.shape.publishers), ledger)
            await ledger.settled(PATIENCE)
        advance()
        return Measurement(
            pace.suffix,
            "delivery",
            ledger.delivered,
            stage.meter.usage,
            Latency.of(ledger.latencies),
            party.polls,
            poll_bytes,
        )
