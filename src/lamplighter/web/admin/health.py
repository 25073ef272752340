"""GET /health and GET /ready, for load balancers and service managers: no token, no details.

`/health` answers 200 `{"status": "ok"}`, or 503 `{"status": "storage unavailable"}` while the
database cannot be written, or does not answer. The server may still read then, but another server
would serve clients better.

`/ready` tells whether to send clients here. It answers 200 `{"status": "ready"}` if the modules are
loaded, the server listens on all its addresses, and the database answers. Otherwise it answers 503
with `starting`, `stopping`, or `storage unavailable`. A node of a cluster answers `no lease` while
it cannot write, and `catching up` while it is behind the other nodes.

Where the homeserver behind this server does not know its registration, or does not reach it, the
answer has a warning. It is no reason to send clients elsewhere: another server has the same
homeserver. And a homeserver that comes through the load balancer would never reach this server. For
the first of these reasons, a node of a cluster has a warning, too, while the database is away: the
other nodes have the same database, and all of them go on to tell what they know.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import StorageUnavailable
from lamplighter.web.routes import MatrixRoute, Route, json_response

__all__ = ["Health", "Ready"]


class Health:
    """Answers whether *storage_works*."""

    def __init__(self, storage_works: Callable[[], bool]) -> None:
        self._storage_works = storage_works

    def routes(self) -> list[Route]:
        return [MatrixRoute("GET", "/health", self.get)]

    async def get(self, _request: Request) -> Response:
        """Answer everybody."""
        if self._storage_works():
            return json_response({"status": "ok"})
        return json_response({"status": "storage unavailable"}, status=503)


class _Stage(StrEnum):
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


class Ready:
    """Answers whether the server serves clients."""

    def __init__(
        self,
        storage_works: Callable[[], bool],
        look_into_storage: Callable[[], Awaitable[object]],
        homeserver_problem: Callable[[], str | None],
        node_problem: Callable[[], str | None],
        *,
        shares_storage: bool = False,
    ) -> None:
        """*look_into_storage* raises `StorageUnavailable` if the database does not answer.

        *homeserver_problem* tells what is wrong with the homeserver behind this server, and
        *node_problem* what is wrong with this server as a node of a cluster; *shares_storage* for
        such a node.
        """
        self._storage_works = storage_works
        self._homeserver_problem = homeserver_problem
        self._node_problem = node_problem
        self._shares_storage = shares_storage
        self._look_into_storage = look_into_storage
        self._stage = _Stage.STARTING

    def opened(self) -> None:
        """The server listens on all its addresses."""
        self._stage = _Stage.READY

    def closing(self) -> None:
        """The server is about to stop."""
        self._stage = _Stage.STOPPING

    def routes(self) -> list[Route]:
        return [MatrixRoute("GET", "/ready", self.get)]

    async def get(self, _request: Request) -> Response:
        """Answer everybody."""
        status, warning = str(self._stage), {}
        if self._stage is _Stage.READY:
            try:
                await self._look_into_storage()
                works = self._storage_works()
            except StorageUnavailable:
                works = False
            if not works and self._shares_storage:
                warning = {"warning": "storage unavailable"}
            if not works and not self._shares_storage:
                status = "storage unavailable"
            elif (problem := self._node_problem()) is not None:
                status = problem
            if self._homeserver_problem() is not None:
                warning = {"warning": "homeserver not set up"}
        code = 200 if status == _Stage.READY else 503
        return json_response({"status": status, **warning}, status=code)
