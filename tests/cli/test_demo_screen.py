"""The output of the demo."""

import shlex
from collections import deque
from typing import Any

from rich.console import Console

from lamplighter.cli.demo_screen import Screen, Told, curl_lines, dashboard_lines, told
from lamplighter.devtools.server import running_server
from lamplighter.homeserver.values import Login
from lamplighter.ids import DeviceId, StreamPosition
from lamplighter.presence.state import Presence
from lamplighter.routing.plan import Delivery
from lamplighter.routing.reasons import Module, Self, SharedRoom
from lamplighter.service import Published
from lamplighter.web.admin.auth import new_admin_token
from tests.routing.people import ALICE, BOB, CHARLIE, HALL, state

BASE = "http://127.0.0.1:8008"


def test_who_was_told() -> None:
    """Each recipient of another user's presence has a line, with the message and all reasons."""
    brb, away = state(BOB, "brb"), state(CHARLIE, "", presence=Presence.UNAVAILABLE)
    deliveries = [
        Delivery(brb, {ALICE: (Module("MyRouter"), SharedRoom(HALL)), BOB: (Self(),)}),
        Delivery(away, {BOB: (SharedRoom(HALL),)}),
    ]
    assert [str(it) for it in told(Published(StreamPosition(1), (), deliveries))] == [
        "alice was told: bob is online “brb” (because: module MyRouter and shared room !hall:demo)",
        "bob was told: charlie is unavailable (because: shared room !hall:demo)",
    ]


def test_the_dashboard() -> None:
    """The address of the dashboard and its token have a line each, of at most 80 columns."""
    token = new_admin_token()
    lines = dashboard_lines("http://127.0.0.1:8008", token)
    assert lines == [
        "The dashboard: http://127.0.0.1:8008/_lamplighter/",
        f"The token that it asks for: {token}",
    ]
    assert max(map(len, lines)) <= 80


def test_lines_to_paste() -> None:
    """The first line sets a status, the others sync as each person; a shell reads them right."""
    logins = [Login(user, DeviceId("D"), f"token of {user}") for user in (ALICE, BOB)]
    lines: list[Any] = [shlex.split(line, comments=True) for line in curl_lines(BASE, logins, BOB)]
    put, *syncs = lines
    assert put == [
        "curl",
        "-X",
        "PUT",
        f"{BASE}/_matrix/client/v3/presence/@bob:demo/status",
        "-H",
        "Authorization: Bearer token of @bob:demo",
        "-d",
        '{"presence": "unavailable", "status_msg": "lunch"}',
    ]
    assert syncs == [
        [
            "curl",
            f"{BASE}/_matrix/client/v3/sync",
            "-H",
            f"Authorization: Bearer token of {user}",
        ]
        for user in (ALICE, BOB)
    ]


def drawn(screen: Screen) -> list[str]:
    """Return the screen as a wide terminal without colours shows it, line by line."""
    console = Console(width=120, no_color=True, force_terminal=False)
    with console.capture() as captured:
        console.print(screen)
    return [" ".join(line[1:-1].split()) for line in captured.get().splitlines()]


async def test_the_view_is_drawn_anew() -> None:
    """Each time it is drawn, the view shows who is online now, and the newest telling first."""
    history: deque[Told] = deque(maxlen=12)
    async with running_server() as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        screen = Screen(
            server.lamplighter, "http://127.0.0.1:1", [alice.user_id, bob.user_id], history
        )
        screen.story = ["bob [sets] his status"]
        before = drawn(screen)
        await bob.set_status("online", "[bold]brb[/]")
        history.append(Told("alice", "bob", "online “[x]”", "module MyRouter"))
        history.append(Told("alice", "bob", "offline", "module MyRouter"))
        after = drawn(screen)
    assert "Lamplighter at http://127.0.0.1:1" in before[0]
    assert "• bob [sets] his status" in before
    assert {"alice offline", "bob offline"} <= set(before)
    assert {"alice offline", "bob online [bold]brb[/]"} <= set(after)
    assert [line for line in after if "module MyRouter" in line] == [
        "alice bob offline module MyRouter",
        "alice bob online “[x]” module MyRouter",
    ]


async def test_the_point_is_on_a_small_terminal() -> None:
    """The whole view fits 80 columns and 24 lines."""
    told = [
        Told("alice", "bob", f"online “lighting the lamps”{n}", "module CustomPresenceRouter")
        for n in range(12)
    ]
    async with running_server() as server:
        people = [(await server.register(name)).user_id for name in ("alice", "bob", "charlie")]
        screen = Screen(server.lamplighter, "http://127.0.0.1:8008", people, told)
        screen.story = ["bob sets his status", f"alice's /sync receives {'x' * 200}", "charlie's"]
        console = Console(width=80, height=24, no_color=True, force_terminal=False)
        with console.capture() as captured:
            console.print(screen)
    lines = captured.get().splitlines()
    assert len(lines) <= 23
    reason = "module CustomPresenceRouter"
    assert [line for line in lines if "lighting the lamps" in line and reason in line]
    for shown in ("charlie  ", "• bob sets his status", "• charlie's", "Ctrl-C stops"):
        assert [line for line in lines if shown in line]
