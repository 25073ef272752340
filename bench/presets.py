"""What is measured: the table of presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from bench.loads.changes import Changes, Closed, Pace, Steady
from bench.measuring import Measurement
from bench.shapes import Shape, mesh, one_room, routed
from bench.servers.process import Recipe
from bench.stage import Stage

__all__ = ["PRESETS", "QUICK", "Load", "Preset"]

#: So many of a room's users publish, in turn; all of them watch.
_PUBLISHERS: Final = 10


class Load(Protocol):
    """Something to put on a server."""

    #: Who is there; before it is put on the server, the server is started for them.
    shape: Shape

    async def run(self, stage: Stage) -> list[Measurement]:
        """Return what was measured, a row each. Raises `BenchError` if anything is amiss."""


@dataclass(frozen=True)
class Preset:
    """A load by its name."""

    name: str
    about: str
    load: Load
    #: Whether XMPP servers can be put under the same load.
    over_xmpp: bool = False
    #: Whether Synapse needs so long that it is left out unless everything is asked for.
    long_for_synapse: bool = False

    def admits(self, recipe: Recipe, *, everything: bool) -> bool:
        """Tell whether the server of *recipe* is to be measured."""
        return everything or recipe.name != "synapse" or not self.long_for_synapse


def _fanout(users: int, *paces: Pace, long_for_synapse: bool = False) -> Preset:
    return Preset(
        f"fanout-{users}",
        f"one room of {users}, all of them watching",
        Changes(one_room(users, _PUBLISHERS), paces),
        over_xmpp=True,
        long_for_synapse=long_for_synapse,
    )


_TWICE_A_SECOND: Final = Steady(per_second=2, seconds=20)
#: Both for large rooms: what saturates a server says nothing of its latency.
_FLAT_OUT: Final = Closed(seconds=10)
_UNSATURATED: Final = Steady(per_second=2, seconds=20, suffix=", 2/s")

_ALL: Final = (
    _fanout(50, _TWICE_A_SECOND),
    _fanout(200, _TWICE_A_SECOND),
    _fanout(500, _FLAT_OUT, _UNSATURATED),
    _fanout(5000, _FLAT_OUT, _UNSATURATED, long_for_synapse=True),
    Preset(
        "mesh",
        "500 users in 50 rooms of 20, each in 2; 20 changes/s",
        Changes(mesh(500, 50), (Steady(per_second=20, seconds=20),)),
        over_xmpp=True,
    ),
    Preset(
        "router",
        "200 publishers who share no room, one watcher to whom a module shows them",
        Changes(routed(200), (Steady(per_second=20, seconds=20),)),
    ),
)

#: By name.
PRESETS: Final[Mapping[str, Preset]] = {preset.name: preset for preset in _ALL}

#: What `--quick` measures.
QUICK: Final = ("fanout-50", "router", "put")
