"""The table of presets, and the plan of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from bench.clients import BOT, ELEMENT_AWAY, NIO
from bench.loads.changes import Changes, Closed, Pace, Steady
from bench.loads.first_syncs import FirstSyncs, FirstSyncsOfOne
from bench.loads.idle import Idle
from bench.loads.puts import Puts
from bench.loads.returns import Churn, Reconnect
from bench.loads.starts import Starts
from bench.machine import polls_admitted
from bench.measuring import Measurement
from bench.party import TIMEOUT_MS, MatrixWire
from bench.servers.process import Recipe
from bench.shapes import Shape, alone, crowd, in_many_rooms, mesh, one_room, rooms_apart, routed
from bench.stage import Stage

__all__ = ["PRESETS", "QUICK", "Load", "Plan", "Preset", "make_plan"]

#: How many users of a room publish, in turn; all of them watch.
_PUBLISHERS: Final = 10

_TWO_A_SECOND: Final = Steady(per_second=2, seconds=20)

#: The most polls that a load opens, even where a process may have more descriptors.
_CROWD: Final = 15_000


class Load(Protocol):
    """A load on a server."""

    @property
    def shape(self) -> Shape:
        """The users, their rooms and their modules; the server is configured for them."""

    async def run(self, stage: Stage) -> list[Measurement]:
        """Return the measurements, each a row of the table. Raises `BenchError`."""


@dataclass(frozen=True)
class Preset:
    """A load by its name."""

    name: str
    about: str
    load: Load
    #: Whether XMPP servers can be put under the same load.
    over_xmpp: bool = False
    #: Whether a Synapse with presence is compared with one without, behind Lamplighter.
    is_in_front: bool = False
    #: Whether a server of several nodes is measured, too.
    over_nodes: bool = False
    #: Whether Synapse needs so long that it is left out unless everything is asked for.
    long_for_synapse: bool = False

    def can_run_on(self, recipe: Recipe) -> bool:
        """Tell whether the server's protocol can carry the load."""
        if self.is_in_front:
            return recipe.name in ("synapse", "front")
        if self.load.shape.is_stored:  # in tables of ours
            return recipe.name == "lamplighter"
        if recipe.addresses > 1 or recipe.name == "nodes-1":
            return self.over_nodes
        can_carry = self.over_xmpp or isinstance(recipe.wire, MatrixWire)
        return can_carry and recipe.name != "front"

    def is_short_on(self, recipe: Recipe) -> bool:
        """Tell whether a run without `--all` measures this server too."""
        return recipe.name != "synapse" or not self.long_for_synapse


def _fanout(
    users: int, *paces: Pace, over_nodes: bool = False, long_for_synapse: bool = False
) -> Preset:
    return Preset(
        f"fanout-{users}",
        f"one room of {users}, all of them watching",
        Changes(one_room(users, _PUBLISHERS), paces),
        over_xmpp=True,
        over_nodes=over_nodes,
        long_for_synapse=long_for_synapse,
    )


#: Both paces, for large rooms: a saturated server shows nothing of its latency.
_FLAT_OUT: Final = Closed(seconds=10)
_UNSATURATED: Final = Steady(per_second=2, seconds=20, suffix=", 2/s")
#: At 20 changes a second a server works with cold caches; this preset shows the server's own costs.
_EIGHT_AT_ONCE: Final = Closed(seconds=10, suffix=", 8 at once", together=8)

#: The rooms of somebody who uses Matrix every day.
_ROOM_SIZES: Final = (*(2,) * 30, *(20,) * 14, *(100,) * 5, 300)

_ALL: Final = (
    _fanout(50, Steady(per_second=2, seconds=10)),
    _fanout(200, _TWO_A_SECOND, over_nodes=True),
    *(
        Preset(
            f"fanout-200-{client.name}",
            client.about,
            Changes(replace(one_room(200, _PUBLISHERS), client=client), (_TWO_A_SECOND,)),
        )
        for client in (ELEMENT_AWAY, NIO, BOT)
    ),
    _fanout(500, _FLAT_OUT, _UNSATURATED, over_nodes=True),
    _fanout(5000, _FLAT_OUT, _UNSATURATED, over_nodes=True, long_for_synapse=True),
    Preset(
        "mesh",
        "500 users in 50 rooms of 20, each in 2; 20 changes/s",
        Changes(mesh(500, 50), (Steady(per_second=20, seconds=20),)),
        over_xmpp=True,
    ),
    Preset(
        "router",
        "200 publishers who share no room, one watcher to whom a module shows them",
        Changes(routed(200), (Steady(per_second=20, seconds=10), _EIGHT_AT_ONCE)),
    ),
    Preset(
        "put",
        "1,000 durable changes that nobody watches",
        Puts(1_000, alone(8)),
        over_nodes=True,
    ),
    Preset(
        "initial-500",
        "first syncs in a room of 500 who are online",
        FirstSyncs(one_room(500, 0), count=100),
    ),
    Preset(
        "initial-5000",
        "first syncs in a room of 5,000 who are online",
        FirstSyncs(one_room(5_000, 0), count=50),
        long_for_synapse=True,
    ),
    Preset(
        "initial-rooms",
        "first syncs of one user in 50 rooms: 30 of 2, 14 of 20, 5 of 100 and one of 300",
        FirstSyncsOfOne(in_many_rooms(300, _ROOM_SIZES), count=100, messages=20),
    ),
    Preset(
        "start",
        "a start with 50,000 users, half of them online, in 5,000 rooms of ten",
        Starts(replace(rooms_apart(5_000, 10), is_stored=True)),
    ),
    Preset(
        "idle",
        "2,000 polls with nothing to say and a time-out of 30 s",
        Idle(alone(2_000), timeout_ms=TIMEOUT_MS),
    ),
    Preset(
        "front-quiet",
        "300 polls with nothing to say and a time-out of 5 s, four times",
        Idle(alone(300), timeout_ms=5_000, times=4),
        is_in_front=True,
    ),
    Preset(
        "front-fanout-200",
        "one room of 200, all of them watching",
        Changes(one_room(200, _PUBLISHERS), (_TWO_A_SECOND,)),
        is_in_front=True,
    ),
    Preset(
        "front-mesh",
        "200 users in 20 rooms of 20, each in 2; 5 changes/s",
        Changes(mesh(200, 20), (Steady(per_second=5, seconds=20),)),
        is_in_front=True,
    ),
    Preset(
        "churn",
        "1,000 clients go away, and return with their since tokens within 5 s",
        Churn(rooms_apart(50, 20), seconds=5),
    ),
    Preset(
        "reconnect",
        "a sync with a since token after 1,000 changes elsewhere",
        Reconnect(rooms_apart(2, 100), changes=1_000),
    ),
    Preset(
        "crowd",
        "as many polls as the process may have, one change seen by 1,000 of them",
        Changes(crowd(polls_admitted(_CROWD), 1_000), (Steady(per_second=1, seconds=1),)),
        long_for_synapse=True,
    ),
)

#: By name.
PRESETS: Final[Mapping[str, Preset]] = {preset.name: preset for preset in _ALL}

#: What `--quick` measures.
QUICK: Final = ("fanout-50", "router", "put")


@dataclass(frozen=True)
class Plan:
    """The presets and servers of a run in their order, and the pairs that are left out."""

    measured: Sequence[tuple[Preset, Recipe]]
    #: The names of a preset and a server on which the preset would take too long.
    left_out: Sequence[tuple[str, str]]


def make_plan(
    presets: Sequence[Preset], recipes: Sequence[Recipe], *, everything: bool = False
) -> Plan:
    """Plan to measure *presets* on the servers of *recipes*, with *everything* however long."""
    possible = [(it, recipe) for it in presets for recipe in recipes if it.can_run_on(recipe)]
    measured = [pair for pair in possible if everything or pair[0].is_short_on(pair[1])]
    left_out = [pair for pair in possible if pair not in measured]
    return Plan(measured, [(preset.name, recipe.name) for preset, recipe in left_out])
