"""What the log tells of log-ins, and of refused ones."""

from typing import Any

import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.server import running_server
from lamplighter.web.access_log import AccessLog
from lamplighter.web.address import ClientAddress
from tests.homeserver.world import World
from tests.web.admin.operator import ADMIN_CONFIG, TOKEN, Operator

ADDRESS = "192.0.2.1"
REQUEST = Request({"type": "http", "headers": [], "client": (ADDRESS, 5)})


def login(user: str = "alice", password: str = "secret") -> dict[str, Any]:
    """Return the body of a log-in."""
    return {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
    }


async def test_a_login_has_a_line(world: World) -> None:
    """A log-in has a line with user, device and address and no secret, and is counted."""
    await world.person("alice", "secret")
    with capture_logs() as lines:
        answer = (await world.post("/login", login() | {"device_id": "LAPTOP"})).json
    assert lines == [
        {
            "event": "logged in",
            "log_level": "info",
            "user": "@alice:demo",
            "device": "LAPTOP",
            "address": ADDRESS,
        }
    ]
    assert world.logins == ["succeeded"]
    assert answer["access_token"] not in str(lines)


@pytest.mark.parametrize(
    ("user", "password", "is_closed", "named"),
    [
        ("alice", "hunter2", False, "@alice:demo"),
        ("alice", "secret", True, "@alice:demo"),
        ("hunter2", "alice", False, None),
        ("hunter2", "hunter2", False, None),
    ],
)
async def test_a_refused_login_has_a_line(
    world: World, user: str, password: str, is_closed: bool, named: str | None
) -> None:
    """A refusal names an account that exists, also a closed one; a password that was typed into the
    wrong field is in no line.
    """
    alice = await world.person("alice", "secret")
    if is_closed:
        await world.directory.deactivate(alice.user_id)
    with capture_logs() as lines:
        await world.post("/login", login(user, password))
    assert [(it["event"], it["user"], it["address"]) for it in lines] == [
        ("log-in refused", named, ADDRESS)
    ]
    assert "hunter2" not in str(lines)
    assert world.logins == ["refused"]


async def test_too_many_logins_are_counted(world: World) -> None:
    """A log-in beyond the limit of its address has a line that says so, and is counted apart."""
    with capture_logs() as lines:
        for _ in range(6):
            await world.post("/login", login())
    assert world.logins == ["refused"] * 5 + ["limited"]
    assert lines[-1]["reason"] == "too many from this address"


async def test_a_wrong_password_beside_a_token(world: World) -> None:
    """The log names a device that is asked for the password again and gives a wrong one."""
    alice = await world.person("alice", "secret")
    wrong = login(password="wrong")
    with capture_logs() as lines:
        await alice.post("/account/deactivate", {"auth": wrong})
    assert [(it["event"], it["user"]) for it in lines] == [("password refused", "@alice:demo")]


@pytest.mark.parametrize("token", [None, TOKEN + "x", ""])
async def test_a_refused_admin_token_has_a_line(token: str | None) -> None:
    """The log has a line for a request to the admin API without its token, and never the token."""
    async with running_server(config=ADMIN_CONFIG) as server:
        with capture_logs() as lines:
            await Operator(server.http, token).request("GET", "/server")
    assert [it["event"] for it in lines] == ["admin token refused"]
    assert TOKEN not in str(lines)


def test_refusals_are_limited() -> None:
    """An attacker fills no disk: of many refusals few have lines, and a later line counts them."""
    clock, counted = FakeClock(), list[str]()
    log = AccessLog(clock, counted.append, ClientAddress([]))
    with capture_logs() as lines:
        for _ in range(1000):
            log.login_refused(None, "Wrong user name or password", REQUEST)
        log.admin_refused("No access token", REQUEST)
        clock.advance(seconds=2)
        log.login_refused(None, "Wrong user name or password", REQUEST)
    assert len(counted) == 1001
    assert [it["event"] for it in lines] == ["log-in refused"] * 20 + [
        "admin token refused",
        "log-in refused",
    ]
    assert lines[-1]["left_out_before"] == 980
