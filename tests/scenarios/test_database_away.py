"""PostgreSQL goes away while a server runs, and comes back."""

from pathlib import Path

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.server import InMemoryServer
from tests.postgresql import PostgresServer


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The server keeps things."""
    return tmp_path / "data"


@pytest.fixture
def config(postgres_url: str) -> str:
    """The server keeps them in PostgreSQL."""
    return f"database: {postgres_url}"


async def test_away_and_back(
    server: InMemoryServer, postgres: PostgresServer, alice: Client, bob: Client, room: str
) -> None:
    """A status is shown, answered with 503, and kept until it can be written; rooms wait.

    Nobody is logged out, and no request hangs.
    """
    status = f"/presence/{bob.user_id}/status"
    await bob.set_status("online", "before")
    await alice.sync()
    with postgres.stopped():
        answers = [
            await bob.request("PUT", status, {"presence": "unavailable", "status_msg": "during"}),
            await bob.request("POST", "/createRoom", {}),
            await bob.request("PUT", f"/rooms/{room}/send/m.room.message/1", {}),
        ]
        assert [it.status for it in answers] == [503, 503, 503]
        seen = (await alice.sync()).presence[bob.user_id]
    assert (seen["presence"], seen["status_msg"]) == ("unavailable", "during")
    await server.advance(minutes=2)
    await bob.create_room()
    await server.restart(alice, bob)
    assert (await alice.status_of(bob))["status_msg"] == "during"


async def test_what_load_balancers_are_told(
    server: InMemoryServer, postgres: PostgresServer, alice: Client
) -> None:
    """While PostgreSQL is away both answers are 503, though nobody writes; soon after it is back
    both are 200.
    """
    paths = ("/ready", "/health")

    async def answers() -> list[int]:
        return [(await server.http.request("GET", it)).status for it in paths]

    await alice.sync()
    assert await answers() == [200, 200]
    with postgres.stopped():
        assert await answers() == [503, 503]
        assert await answers() == [503, 503]
    assert await answers() == [200, 200]


async def test_polls_of_unknown_devices(
    server: InMemoryServer, postgres: PostgresServer, alice: Client
) -> None:
    """A poll whose token cannot be looked up is refused a second later, not again and again."""
    alice.access_token = "not in memory"
    with postgres.stopped():
        poll = alice.begin_poll()
        await server.settled()
        await poll.waiting()
        assert not poll.answered
        await server.advance(seconds=1)
        with pytest.raises(RequestFailed, match="503"):
            await poll.answer()
