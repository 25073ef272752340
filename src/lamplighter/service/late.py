"""Late answers of modules: the owner of a batch waits for them, and appends them to the stream.

A batch is published without waiting for modules. For each batch about which a module still thinks,
a task waits; each answer becomes an entry. If nobody may wait any more, because the server
stops or the modules are replaced, the batch is `Abandoned`: its changes become news again.
"""

import asyncio
from collections.abc import Coroutine, Sequence

from lamplighter.cluster.entries import Abandoned, LateAnswer
from lamplighter.cluster.stream import Stream
from lamplighter.ids import StreamPosition
from lamplighter.routing.answers import CheckedRoutes
from lamplighter.routing.router import Inquiry
from lamplighter.service.keeper import log_failure

__all__ = ["LateAnswers"]


class LateAnswers:
    """The tasks that wait for late answers."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        #: By task, the position of its batch; None where only other servers are sent something.
        self._tasks: dict[asyncio.Task[None], StreamPosition | None] = {}

    @property
    def are_awaited(self) -> bool:
        """Whether an answer of a module is still to come."""
        return bool(self._tasks)

    def wait_for(self, about: StreamPosition, inquiry: Inquiry) -> None:
        """Append what is still to come of *inquiry*, which asked about the batch at *about*."""
        # The answers that are missing now, not when the task begins, are late ones.
        self._start(self._wait_for(about, inquiry, inquiry.pending()), about)

    def run(self, work: Coroutine[None, None, None]) -> None:
        """Begin *work* that waits for modules for the sake of other servers."""
        self._start(work, None)

    def give_up(self) -> None:
        """Abandon every batch about which modules still think."""
        for task, about in list(self._tasks.items()):
            if about is not None:
                del self._tasks[task]
                task.cancel()
                self._stream.append(Abandoned(about))

    async def close(self) -> None:
        """Stop waiting: every batch about which modules still think is abandoned."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _wait_for(
        self,
        about: StreamPosition,
        inquiry: Inquiry,
        pending: "Sequence[asyncio.Future[CheckedRoutes]]",
    ) -> None:
        try:
            while pending:
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                pending = inquiry.pending()
                self._stream.append(LateAnswer(about, inquiry.routes(), inquiry.awaited()))
        except asyncio.CancelledError:
            if asyncio.current_task() in self._tasks:  # else `give_up` has abandoned it
                self._stream.append(Abandoned(about))
            raise

    def _start(self, work: Coroutine[None, None, None], about: StreamPosition | None) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = about
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        task.add_done_callback(log_failure)
