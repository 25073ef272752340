"""A guarded module whose callbacks do as a test says, and what is known of it from outside."""

from datetime import timedelta
from typing import Final

from lamplighter.devtools.clock import FakeClock
from lamplighter.metrics import Metrics
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedRoutes
from lamplighter.routing.breaker import BreakerSettings
from lamplighter.routing.guard import GuardedModule, GuardSettings
from lamplighter.routing.loop_time import LoopTime
from tests.routing.callbacks import Act, turns
from tests.routing.people import ALICE, BOB, state

__all__ = ["BOBS", "MISSING", "Bench"]

BOBS: Final = state(BOB)
#: What there is where nothing was answered about bob.
MISSING = CheckedRoutes(unanswered=frozenset({BOB}))
SETTINGS = GuardSettings(timedelta(seconds=5), BreakerSettings(failures=3))


class Bench:
    """A guarded module whose callbacks are `act`, and what is known of it from outside."""

    def __init__(self, act: Act) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.module = GuardedModule(
            "MyRouter",
            act,
            act,
            clock=self.clock,
            loop_time=LoopTime(self.clock),
            metrics=self.metrics,
            settings=SETTINGS,
        )

    async def users_for_states(self, *states: UserPresenceState) -> CheckedRoutes:
        return await self.module.users_for_states(states or [BOBS])

    async def ask(self, times: int) -> None:
        """Ask so often."""
        for _ in range(times):
            await self.module.interested_users(ALICE)

    async def wait_in_vain(self, times: int) -> None:
        """Ask so often, one after the other, and wait until the time is up."""
        for _ in range(times):
            answer = self.module.interested_users(ALICE)
            await turns()
            self.clock.advance(seconds=5)
            await answer

    def metric(self, name: str, **labels: str) -> float:
        """Return one sample of the exposition; 0 if it is not there."""
        wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
        for line in self.metrics.exposition().decode().splitlines():
            sample, _, value = line.rpartition(" ")
            if sample == f"lamplighter_{name}{{{wanted}}}":
                return float(value)
        return 0

    def failures(self, callback: str, kind: str) -> float:
        return self.metric("module_failures_total", callback=callback, kind=kind, module="MyRouter")
