"""What the demo says."""

import shlex
from typing import Any

import pytest

from lamplighter.cli.demo_text import Told, curl_lines, dashboard_lines, presence_in_words, told
from lamplighter.homeserver.values import Login
from lamplighter.ids import DeviceId, StreamPosition
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.plan import Delivery
from lamplighter.routing.reasons import Module, Self, SharedRoom
from lamplighter.service import Published
from lamplighter.web.admin.auth import new_admin_token
from tests.routing.people import ALICE, BOB, CHARLIE, HALL, state

BASE = "http://127.0.0.1:8008"


def test_who_was_told() -> None:
    """Everybody who was told of somebody else is named, with all reasons; oneself is not."""
    brb, away = state(BOB, "brb"), state(CHARLIE, presence=Presence.UNAVAILABLE)
    deliveries = [
        Delivery(brb, {ALICE: (Module("MyRouter"), SharedRoom(HALL)), BOB: (Self(),)}),
        Delivery(away, {BOB: (SharedRoom(HALL),)}),
    ]
    assert told(Published(StreamPosition(1), (), deliveries)) == [
        Told("alice", "bob", "online “brb”", "module MyRouter and shared room !hall:demo"),
        Told("bob", "charlie", "unavailable", "shared room !hall:demo"),
    ]


def test_a_line() -> None:
    """One person who was told is one line."""
    line = str(Told("alice", "bob", "online “brb”", "module MyRouter"))
    assert line == "alice was told: bob is online “brb” (because: module MyRouter)"


@pytest.mark.parametrize(
    ("presence", "words"),
    [
        (state(BOB), "online"),
        (state(BOB, ""), "online"),
        (state(BOB, "at lunch", presence="unavailable"), "unavailable “at lunch”"),
        (UserPresenceState.default(BOB), "offline"),
    ],
)
def test_presence_in_words(presence: UserPresenceState, words: str) -> None:
    """A presence is its name, and the message if there is one."""
    assert presence_in_words(presence) == words


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
