"""Two modules that name the same users."""

import pytest
from structlog.testing import capture_logs

from lamplighter.ids import RoomId
from lamplighter.routing.reasons import Module, SharedRoom
from tests.compat.modules.held import Held
from tests.compat.modules.routers import MoreRoutes, Routes
from tests.compat.world import ALICE, BOB, CHARLIE, UNSEEN, world

BOTH = (Routes, {"routes": {ALICE: [BOB]}}), (MoreRoutes, {"routes": {ALICE: [BOB, CHARLIE]}})


async def test_reasons_of_both() -> None:
    """A viewer named by two modules gets one state, with both reasons in config order."""
    async with world(*BOTH) as w:
        await w.alice.sync(**UNSEEN)
        told = w.listen()
        await w.bob.set_status("unavailable")
        assert told == [(ALICE, BOB, (Module("Routes"), Module("MoreRoutes")))]
        events = (await w.alice.sync(**UNSEEN)).content["presence"]["events"]
        assert [it["sender"] for it in events] == [BOB]


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
async def test_last_in_order_wins(order: tuple[str, str]) -> None:
    """If modules alter a state in different ways, the last in config order decides everywhere."""
    modules = [(Held, {"routes": {ALICE: [BOB]}, "say": say}) for say in order]
    async with world(*modules) as w:
        room = await w.server.room(w.alice, w.bob)
        await w.alice.sync(**UNSEEN)
        told = w.listen()
        await w.bob.set_status("unavailable", "the truth")
        reasons = (SharedRoom(RoomId(room)), Module("Held#1"), Module("Held#2"))
        assert told == [(ALICE, BOB, reasons)]
        answers = [await w.alice.sync(**UNSEEN), await w.alice.first_sync(**UNSEEN)]
        seen = [answer.presence[BOB]["status_msg"] for answer in answers]
        seen.append((await w.alice.status_of(w.bob))["status_msg"])
        assert seen == [order[1]] * 3


async def test_passed_on_while_the_other_fails() -> None:
    """While the altering module fails, the real state of another module is not shown instead."""
    altering = (Held, {"routes": {ALICE: [BOB]}, "say": "altered"})
    async with world(altering, BOTH[0]) as w:
        await w.server.room(w.alice, w.bob)
        await w.alice.sync(**UNSEEN)
        await w.bob.set_status("unavailable", "the truth")
        await w.alice.sync(**UNSEEN)
        w.server.module(Held).routes = None
        with capture_logs():
            await w.bob.set_status("online", "another truth")
            assert BOB not in (await w.alice.sync(**UNSEEN)).presence
            assert w.alice.reads(w.bob) == "altered"
            assert BOB not in (await w.alice.first_sync(**UNSEEN)).presence
