"""What the running server says while the homeserver does not know it, or does not reach it."""

from structlog.testing import capture_logs

from lamplighter.devtools.client import Client
from tests.homeserver.upstream.front import LOBBY, Front

WHOAMI = "/_matrix/client/v3/account/whoami"
PING = "/_matrix/client/v1/appservice/lamplighter/ping"
UNKNOWN = (401, {"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token"})
NOT_KNOWN = "the homeserver does not know the registration lamplighter"
BAD_STATUS = (502, {"errcode": "M_BAD_STATUS", "error": "HTTP 403 Forbidden", "status": 403})
NOT_ITS_TOKEN = "the homeserver has another hs_token than the registration here"


async def said(door: Front, *, after: int) -> tuple[int, str, str | None]:
    """Return what `/ready` and the metrics say after so many seconds, and what is wrong."""
    await door.server.advance(seconds=after)
    ready = await door.server.http.request("GET", "/ready")
    metrics = await door.server.http.request("GET", "/metrics")
    [figure] = [
        it
        for it in metrics.body.decode().splitlines()
        if it.startswith("lamplighter_homeserver_problem ")
    ]
    return ready.status, figure.partition(" ")[2], door.server.lamplighter.homeserver.problem


async def test_a_registration_that_is_not_known(door: Front) -> None:
    """The log has the finding once, with what to change; it ends with the next good answer."""
    door.small.instead[WHOAMI] = UNKNOWN
    with capture_logs() as logs:
        assert await said(door, after=0) == (200, "0.0", None)
        advice = "Add the file to app_service_config_files of the homeserver, and restart it."
        wrong = (200, "1.0", f"{NOT_KNOWN}. {advice}")
        assert [await said(door, after=it) for it in (1, 10, 10, 10)] == [wrong] * 4
        del door.small.instead[WHOAMI]
        assert await said(door, after=10) == (200, "0.0", None)
    told = [(it["log_level"], it["event"]) for it in logs if "set up" in it["event"]]
    assert told == [
        ("error", "the homeserver is not set up"),
        ("info", "the homeserver is set up"),
    ]
    assert logs[0]["problem"] == NOT_KNOWN
    assert logs[0]["change"] == advice


async def test_another_hs_token(door: Front) -> None:
    """A request with another token makes the server ask; a stranger's request changes nothing."""
    assert await said(door, after=160) == (200, "0.0", None)
    assert await door.told(token="wrong") == 403
    assert await said(door, after=5) == (200, "0.0", None)
    door.small.instead[PING] = BAD_STATUS
    assert await said(door, after=5) == (200, "0.0", None)
    assert await door.told(token="wrong") == 403
    status, figure, problem = await said(door, after=5)
    assert (status, figure) == (200, "1.0")
    assert str(problem).startswith(f"{NOT_ITS_TOKEN}. ")


async def test_a_token_that_ends(door: Front, bob: Client) -> None:
    """A question of the server's own that is refused makes it ask who it is."""
    assert await said(door, after=160) == (200, "0.0", None)
    door.small.instead |= {
        WHOAMI: UNKNOWN,
        f"/_matrix/client/v3/rooms/%21{LOBBY[1:].replace(':', '%3A')}/joined_members": UNKNOWN,
    }
    assert await said(door, after=5) == (200, "0.0", None)
    door.small.join("@carol:demo", LOBBY)
    await door.told()
    status, _, problem = await said(door, after=5)
    assert status == 200
    assert str(problem).startswith(NOT_KNOWN)
    door.small.instead.clear()
    assert await said(door, after=10) == (200, "0.0", None)
    # A refusal says nothing of rooms, so the question was asked again.
    for user_id in ("@alice:demo", "@carol:demo"):
        assert await bob.status_of(user_id) == {"presence": "offline"}


async def test_a_homeserver_that_is_away(door: Front) -> None:
    """A homeserver that restarts is not one that is not set up; one without a ping is neither."""
    door.pipe.cut()
    assert await said(door, after=1) == (200, "0.0", None)
    door.pipe.is_down = False
    door.small.instead[PING] = (404, {"errcode": "M_UNRECOGNIZED", "error": "no"})
    assert await said(door, after=5) == (200, "0.0", None)
