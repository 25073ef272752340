"""One question to the modules for many viewers who are answered from scratch at once.

A module answers about a state with all who receive it. So an answer about everybody has what every
viewer needs, and a question for each viewer would be work in proportion to the square of the users
where all of them come at once, after a restart for example.

So at most one of these questions runs at a time. The viewers who come while it runs share the next
one, which begins when it has ended. No viewer gets an answer to a question that began before the
viewer came: a module may answer otherwise at any time.

For example, 2,000 clients ask for their first sync within a second, and a question about everybody
takes 0.3 seconds. The first client waits for a question of its own. Those who come in the next 0.3
seconds share the second question, and so on: four or five questions instead of 2,000.

If the question fails by a defect of this server, all who share it get an error.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from lamplighter.clock import next_turn
from lamplighter.delivery.feed import Feed
from lamplighter.errors import QuestionFailed
from lamplighter.futures import fail
from lamplighter.ids import StreamPosition, UserId
from lamplighter.routing.router import Inquiry, ModuleRouter
from lamplighter.service.background import Background
from lamplighter.service.roster import KnownUser, Roster

__all__ = ["SharedAnswer", "SharedQuestions"]

#: How many viewers go on in one cycle of the event loop: each then makes an answer.
_GO_ON_AT_A_TIME: Final = 50


@dataclass(frozen=True, slots=True)
class SharedAnswer:
    """What the modules answered about many users, complete for the viewers who share it."""

    #: The question began when everything up to here was in the outboxes.
    position: StreamPosition
    #: The users whom the question was about, as they were at that position.
    known: Mapping[UserId, KnownUser]
    inquiry: Inquiry


@dataclass(eq=False, slots=True)
class _Question:
    """A question that has not begun, or runs."""

    #: Those who wait for the answer.
    waiting: "list[asyncio.Future[SharedAnswer]]" = field(default_factory=list)
    viewers: set[UserId] = field(default_factory=set)
    users: set[UserId] = field(default_factory=set)
    #: It is also about all whose changes were told after the earliest of these positions. One
    #: that is None: about everybody.
    told_after: set[StreamPosition | None] = field(default_factory=set)

    def about(self, roster: Roster) -> Mapping[UserId, KnownUser]:
        """Return the users whom the question is about, as they are now."""
        positions = [it for it in self.told_after if it is not None]
        if len(positions) < len(self.told_after):
            return roster.everybody()
        return roster.last_of({*roster.told_after(min(positions)), *self.users})


class SharedQuestions:
    """Asks the modules about many users at once."""

    def __init__(
        self, roster: Roster, router: ModuleRouter, feed: Feed, background: Background
    ) -> None:
        self._roster = roster
        self._router = router
        self._feed = feed
        self._background = background
        #: Held by the question that runs.
        self._turn = asyncio.Lock()
        #: The question that has not begun; None if nobody waits for one.
        self._next: _Question | None = None

    async def about_everybody(self, viewer: UserId) -> SharedAnswer:
        """Return what modules answer about everybody who was ever heard of.

        The question begins after this call, and so do those of `about`.
        """
        return await self._ask(viewer, None, ())

    async def about(
        self, viewer: UserId, told_after: StreamPosition, users: Iterable[UserId]
    ) -> SharedAnswer:
        """Return what modules answer about *users*, and about whose changes were told after that.

        The answer may be about other users too.
        """
        return await self._ask(viewer, told_after, users)

    def begin_anew(self) -> None:
        """Let no question to new modules wait for one to the modules that they have replaced."""
        self._turn, self._next = asyncio.Lock(), None

    async def _ask(
        self, viewer: UserId, told_after: StreamPosition | None, users: Iterable[UserId]
    ) -> SharedAnswer:
        question = self._next
        if question is None:
            question = self._next = _Question()
            task = self._background.run(self._answer(question, self._turn))
            # Not in the task itself: one that is cancelled before it begins does nothing.
            task.add_done_callback(partial(self._end, question))
        question.viewers.add(viewer)
        question.told_after.add(told_after)
        question.users.update(users)
        waiting: asyncio.Future[SharedAnswer] = asyncio.get_running_loop().create_future()
        question.waiting.append(waiting)
        return await waiting

    async def _answer(self, question: _Question, turn: asyncio.Lock) -> None:
        """Ask when it is the question's turn, and give the answer to all who wait for it."""
        async with turn:
            answer = await self._begin(question)
        while question.waiting:
            for waiting in question.waiting[:_GO_ON_AT_A_TIME]:
                if not waiting.done():  # else the viewer has gone
                    waiting.set_result(answer)
            del question.waiting[:_GO_ON_AT_A_TIME]
            await next_turn()

    def _end(self, question: _Question, task: "asyncio.Task[None]") -> None:
        """Let nobody wait for the answer any more: it was given, or there will be none."""
        if self._next is question:
            self._next = None
        for waiting in question.waiting:
            if task.cancelled():  # the server ends
                waiting.cancel()
            else:  # the log has the defect, once for all
                fail(waiting, QuestionFailed("the question that this request shares has failed"))

    async def _begin(self, question: _Question) -> SharedAnswer:
        if self._next is question:
            self._next = None  # whoever comes from now on shares another one
        position = self._feed.position
        known = question.about(self._roster)
        states = [it.state for it in known.values()]
        return SharedAnswer(
            position, known, await self._router.completed(states, frozenset(question.viewers))
        )
