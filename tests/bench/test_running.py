"""Every kind of load on a real Lamplighter, in a process of its own; but tiny."""

from dataclasses import replace

import pytest

from bench.clients import CLIENTS
from bench.loads.changes import Changes, Closed, Steady
from bench.loads.first_syncs import FirstSyncs, FirstSyncsOfOne
from bench.loads.idle import Idle
from bench.loads.puts import Puts
from bench.loads.returns import Churn, Reconnect
from bench.loads.starts import Starts
from bench.measuring import Silent
from bench.presets import Load, Preset
from bench.running import measure
from bench.servers.lamplighter import Lamplighter
from bench.shapes import alone, crowd, in_many_rooms, mesh, one_room, rooms_apart, routed

pytestmark = pytest.mark.processes

ONE_CHANGE = Steady(per_second=1, seconds=1)


@pytest.mark.parametrize(
    ("load", "measured"),
    [
        *(
            (Changes(replace(one_room(5, 2), client=client), (ONE_CHANGE,)), [("", "delivery", 4)])
            for client in CLIENTS.values()
        ),
        (Changes(mesh(4, 4), (ONE_CHANGE,)), [("", "delivery", 2)]),
        (Changes(routed(4), (ONE_CHANGE,)), [("", "delivery", 1)]),
        (Changes(crowd(5, 2), (ONE_CHANGE,)), [("", "delivery", 2)]),
        (Puts(10, alone(5)), [("", "PUT", 10)]),
        (FirstSyncs(one_room(5, 0), 3), [("", "first sync", 3)]),
        (FirstSyncsOfOne(in_many_rooms(5, (2, 4)), 3, 2), [("", "first sync", 3)]),
        (Starts(replace(rooms_apart(3, 2), is_stored=True)), [("", "start", 1)]),
        (Idle(alone(5), timeout_ms=3_000), [("", "turn", 5)]),
        (Churn(rooms_apart(2, 2), seconds=0), [("", "return", 4)]),
        (Reconnect(rooms_apart(2, 2), changes=4), [("", "return", 2)]),
    ],
    ids=[
        *CLIENTS,
        "mesh",
        "router",
        "crowd",
        "put",
        "initial",
        "rooms",
        "start",
        "idle",
        "churn",
        "reconnect",
    ],
)
async def test_loads(load: Load, measured: list[tuple[str, str, int]]) -> None:
    """All that a load has to deliver arrives, at each kind of client; the row names the kind."""
    rows = await measure(Preset("tiny", "", load), Lamplighter(), Silent())
    found = [(it.measurement.suffix, it.measurement.unit, it.measurement.count) for it in rows]
    assert found == measured
    assert {row.client for row in rows} == {load.shape.client.name}


async def test_flat_out() -> None:
    """In a closed loop each change is received by all before the next one is made."""
    load = Changes(one_room(5, 2), (Closed(seconds=0.1, suffix=", closed"),))
    (row,) = await measure(Preset("tiny", "", load), Lamplighter(), Silent())
    assert row.label == "tiny, closed"
    assert row.measurement.count >= 4
    assert row.measurement.count % 4 == 0
