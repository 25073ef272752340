"""Presence changes that others watch: fan-out, mesh, router."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from time import perf_counter
from typing import Final, Protocol

from bench.ledger import Ledger
from bench.measuring import Latency, Measurement
from bench.shapes import Shape
from bench.stage import Party, Stage
from bench.waiting import pause

__all__ = ["PATIENCE", "Changes", "Closed", "Pace", "Round", "Steady"]

#: The time-out for the last updates once nothing new is published, in seconds.
PATIENCE: Final = 120


class Round:
    """Lets the publishers of a shape change one after the other."""

    def __init__(self, party: Party, publishers: Iterable[int], ledger: Ledger) -> None:
        self._party = party
        self._next = cycle(publishers)
        self._ledger = ledger

    def change(self) -> None:
        """Let the next publisher change."""
        self._party.change(next(self._next))

    async def all_told(self) -> None:
        """Return once everybody has the last change of everybody. Raises `BenchError`."""
        await self._ledger.settled(PATIENCE)


class Pace(Protocol):
    """When the next change comes."""

    @property
    def suffix(self) -> str:
        """The name of the row in the table, after the preset's."""

    async def drive(self, turns: Round) -> None:
        """Let one publisher after the other change."""


@dataclass(frozen=True)
class Steady:
    """A fixed number of changes a second, whether the server keeps up or not."""

    per_second: float
    seconds: float
    suffix: str = ""

    async def drive(self, turns: Round) -> None:
        began = perf_counter()
        for count in range(round(self.seconds * self.per_second)):
            await pause(began + count / self.per_second - perf_counter())
            turns.change()


@dataclass(frozen=True)
class Closed:
    """The next change follows when all have received the last: as fast as both sides keep up."""

    seconds: float
    suffix: str = ""
    #: How many publishers change at once.
    together: int = 1

    async def drive(self, turns: Round) -> None:
        began = perf_counter()
        while perf_counter() - began < self.seconds:
            for _ in range(self.together):
                turns.change()
            await turns.all_told()


@dataclass(frozen=True)
class Changes:
    """The publishers of *shape* change in turn, at each of *paces*."""

    shape: Shape
    paces: Sequence[Pace]

    async def run(self, stage: Stage) -> list[Measurement]:
        ledger = Ledger(self.shape.audiences())
        party = await stage.wire.gather(stage, self.shape, ledger)
        turns = Round(party, self.shape.publishers, ledger)
        try:
            # Every publisher changes once before the measurement begins.
            for _ in self.shape.publishers:
                turns.change()
            await turns.all_told()
            return [await _measured(stage, party, ledger, turns, pace) for pace in self.paces]
        finally:
            party.leave()


async def _measured(
    stage: Stage, party: Party, ledger: Ledger, turns: Round, pace: Pace
) -> Measurement:
    advance = stage.progress.step(f"changes{pace.suffix}", 1)
    poll_bytes = (stage.meter.resident - party.resident_before) / party.polls
    ledger.start_anew()
    with stage.meter.running():
        await pace.drive(turns)
        await turns.all_told()
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
