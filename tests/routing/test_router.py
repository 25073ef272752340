"""Asking all modules together."""

import asyncio

from lamplighter.devtools.clock import FakeClock
from lamplighter.metrics import Metrics
from lamplighter.routing.guard import GuardSettings
from lamplighter.routing.plan import Route
from lamplighter.routing.reasons import AllUsers, Module
from lamplighter.routing.router import ModuleRouter
from lamplighter.routing.visibility import Interest
from tests.routing.callbacks import Act, Thinking, answering, raising, turns
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, state

ONE, OTHER = Module("One"), Module("Other")
BOBS = state(BOB, "brb")
HIDDEN = state(BOB)


def routing(*acts: Act, clock: FakeClock | None = None) -> ModuleRouter:
    """Return a router with the modules One, Other and Third, whose callbacks are the given ones."""
    router = ModuleRouter(clock or FakeClock(), Metrics(), GuardSettings())
    registrations = router.prepare()
    for name, act in zip(("One", "Other", "Third"), acts, strict=False):
        registrations.register(name, act, act)
    router.adopt(registrations)
    return router


async def test_no_modules() -> None:
    """Without modules every question has an empty answer at once."""
    router = routing()
    inquiry = router.inquire([BOBS])
    assert (inquiry.is_pending, inquiry.routes(), inquiry.pending()) == (False, {}, [])
    assert await inquiry.complete() == {}
    assert await router.interested_users(ALICE) == Interest({})


async def test_routes_are_merged() -> None:
    """Answers merge by union, per viewer and user, with every module that sends as a reason."""
    bobs_and_doras = {BOBS, state(DORA)}
    router = routing(
        answering({ALICE: {BOBS}, CHARLIE: {BOBS}}), answering({ALICE: bobs_and_doras})
    )
    assert await router.inquire([BOBS]).complete() == {
        ALICE: {BOB: Route(BOBS, (ONE, OTHER)), DORA: Route(state(DORA), (OTHER,))},
        CHARLIE: {BOB: Route(BOBS, (ONE,))},
    }


async def test_routes_to_one_viewer() -> None:
    """The routes to one viewer are those of all, without the other viewers'."""
    router = routing(
        answering({ALICE: {HIDDEN}, CHARLIE: {BOBS}}),
        answering({ALICE: {state(BOB, "x" * 2_000)}, DORA: {BOBS}}),
    )
    inquiry = router.inquire([BOBS])
    routes = await inquiry.complete()
    assert routes.keys() == {ALICE, CHARLIE, DORA}
    for viewer in routes:
        assert inquiry.routes_to(viewer) == {viewer: routes[viewer]}
    assert inquiry.routes_to(BOB) == {}


async def test_the_last_in_config_order_not_in_time() -> None:
    """Where modules alter a user in different ways, config order decides, and not the time."""
    slow = Thinking()
    inquiry = routing(slow, answering({ALICE: {HIDDEN}})).inquire([BOBS])
    await turns()
    slow.answer({ALICE: {state(BOB, "away")}})
    routes = await inquiry.complete()
    assert routes == {ALICE: {BOB: Route(HIDDEN, (ONE, OTHER), (OTHER,), (ONE,))}}


async def test_answers_as_they_come() -> None:
    """An answer counts as soon as it has come; the other answers are pending."""
    slow = Thinking()
    inquiry = routing(answering({ALICE: {BOBS}}), slow).inquire([BOBS])
    assert (inquiry.is_pending, len(inquiry.pending())) == (True, 2)
    await turns()
    assert (inquiry.is_pending, len(inquiry.pending())) == (True, 1)
    assert inquiry.routes() == {ALICE: {BOB: Route(BOBS, (ONE,))}}
    slow.answer({ALICE: {BOBS}})
    assert await inquiry.complete() == {ALICE: {BOB: Route(BOBS, (ONE, OTHER))}}
    assert (inquiry.is_pending, list(inquiry.pending())) == (False, [])


async def test_one_that_fails_costs_itself() -> None:
    """A module that raises or is late does not cost the others' answers."""
    clock = FakeClock()
    router = routing(raising(RuntimeError()), Thinking(), answering({ALICE: {BOBS}}), clock=clock)
    inquiry = router.inquire([BOBS])
    await turns()
    clock.advance(seconds=5)
    assert await inquiry.complete() == {ALICE: {BOB: Route(BOBS, (Module("Third"),))}}


async def test_awaited() -> None:
    """While a module thinks, it is known to whom it has shown something else before."""
    altering = Thinking()
    router = routing(altering, answering({}))
    first = router.inquire([BOBS])
    await turns()
    assert first.awaited() == {"One": frozenset()}
    altering.answer({ALICE: {HIDDEN}, CHARLIE: {BOBS, state(DORA)}, DORA: {HIDDEN}})
    await first.complete()
    second = router.inquire([BOBS])
    await turns()
    assert second.awaited() == {"One": {ALICE, DORA}}
    altering.answer({})
    await second.complete()
    assert second.awaited() == {}


async def test_interests_are_merged() -> None:
    """Names merge by union, each with the modules that name it, in config order."""
    router = routing(answering({BOB, DORA}), answering({BOB, CHARLIE}))
    assert await router.interested_users(ALICE) == Interest(
        {BOB: (ONE, OTHER), DORA: (ONE,), CHARLIE: (OTHER,)}
    )


async def test_each_module_that_lets_a_viewer_see_all_users() -> None:
    """Each module that lets the viewer see all users is a reason, beside the names."""
    router = routing(answering({BOB}), answering("ALL"), answering("ALL"))
    assert await router.interested_users(ALICE) == Interest(
        {BOB: (ONE,)}, (AllUsers("Other"), AllUsers("Third"))
    )


async def test_modules_are_asked_at_the_same_time() -> None:
    """No module waits for another: the server asks all before any has answered."""
    acts = [Thinking(), Thinking()]
    router = routing(*acts)
    answers = asyncio.ensure_future(router.interested_users(ALICE))
    await turns()
    assert [act.asked for act in acts] == [[ALICE], [ALICE]]
    acts[1].answer({CHARLIE})
    acts[0].answer({BOB})
    assert await answers == Interest({BOB: (ONE,), CHARLIE: (OTHER,)})
