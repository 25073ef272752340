"""`lamplighter explain`, `sees` and `seen-by`."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from lamplighter.cli.admin_client import AdminClient
from lamplighter.cli.visibility import ListQuestion, explain, show_list
from tests.cli.answering import Answering, answering

ONLINE = {
    "presence": "online",
    "status_msg": "[red]brb[/red]",
    "last_active_ts": 0,
    "currently_active": True,
}
HIDDEN = {**ONLINE, "status_msg": None, "currently_active": False}
HALL = {"room_id": "!hall:demo", "name": "The hall"}
REASONS = [
    {"kind": "shared_room", "text": "shared room The hall", "room": HALL, "module": None},
    {"kind": "module", "text": "module OnCall", "room": None, "module": "OnCall"},
]
YES = {
    "viewer": "@alice:demo",
    "subject": "@bob:demo",
    "sees": True,
    "showing": "altered",
    "reasons": REASONS,
    "seen": HIDDEN,
    "actual": ONLINE,
    "modules": ["OnCall", "Everybody"],
    "altered_by": ["OnCall"],
    "overruled": [],
}
NOBODY: dict[str, list[str]] = {"modules": [], "altered_by": [], "overruled": []}
NO = {**YES, "sees": False, "showing": "nothing", "reasons": [], "seen": None, **NOBODY}
HINT = {
    "kind": "excluded_rooms",
    "text": "They share a room, but routing.exclude_rooms leaves it out.",
    "rooms": [{"room_id": "!attic:demo", "name": None}],
    "modules": [],
}


@pytest.fixture
def server() -> Iterator[Answering]:
    """A server that answers as the test says."""
    with answering() as server:
        yield server


@pytest.fixture
def console() -> Console:
    """Where it is shown: 90 columns wide, and no terminal."""
    return Console(file=io.StringIO(), width=90)


def shown(console: Console) -> str:
    """Return what was shown, without frames."""
    assert isinstance(console.file, io.StringIO)
    lines = (line.strip("│╭╰─╮╯ ") for line in console.file.getvalue().splitlines())
    return "\n".join(line for line in lines if line)


def test_a_yes(server: Answering, console: Console) -> None:
    """A yes is shown with every reason, the state for this viewer, and the real state."""
    server.will_answer({"sight": YES, "hints": []})
    client = AdminClient(server.url, "t")
    assert explain(client, console, "@alice:demo", "@bob:demo", as_json=False)
    assert shown(console) == "\n".join(
        [
            "yes",
            "@alice:demo sees @bob:demo",
            "because   shared room The hall  !hall:demo",
            "module OnCall",
            "shown as  ● online",
            "altered by module OnCall",
            "in fact   ● online, active “[red]brb[/red]”",
        ]
    )


def test_modules_that_do_not_agree(server: Answering, console: Console) -> None:
    """A module whose alteration does not count is named, with the reason."""
    server.will_answer({"sight": {**YES, "overruled": ["Quiet"]}, "hints": []})
    explain(AdminClient(server.url, "t"), console, "@alice:demo", "@bob:demo", as_json=False)
    assert "\n".join(shown(console).splitlines()[5:7]) == (
        "altered by module OnCall\n"
        "and otherwise by module Quiet, which stands earlier in the configuration"
    )


def test_a_no(server: Answering, console: Console) -> None:
    """A no is shown with what would have to change."""
    server.will_answer({"sight": NO, "hints": [HINT]})
    client = AdminClient(server.url, "t")
    assert not explain(client, console, "@alice:demo", "@bob:demo", as_json=False)
    assert shown(console) == "\n".join(
        [
            "no",
            "@alice:demo does not see @bob:demo",
            "why not  They share a room, but routing.exclude_rooms leaves it out.",
            "!attic:demo",
        ]
    )


def test_lists(server: Answering, console: Console) -> None:
    """A list has a row for each of the other users."""
    client = AdminClient(server.url, "t")
    for _ in range(2):
        server.will_answer({"sights": [YES], "next_batch": None})
    show_list(client, console, ListQuestion.SEES, "@alice:demo", as_json=False)
    show_list(client, console, ListQuestion.SEEN_BY, "@bob:demo", as_json=False)
    text = shown(console)
    assert "@alice:demo sees 1" in text
    assert "@bob:demo is seen by 1" in text
    rows = [line.split()[0] for line in text.splitlines() if line.startswith("@")]
    assert rows == ["@alice:demo", "@bob:demo", "@bob:demo", "@alice:demo"]


def test_nobody(server: Answering, console: Console) -> None:
    """An empty list is a sentence."""
    server.will_answer({"sights": [], "next_batch": None})
    show_list(
        AdminClient(server.url, "t"), console, ListQuestion.SEEN_BY, "@bob:demo", as_json=False
    )
    assert shown(console) == "@bob:demo is seen by nobody."


@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        ({"sight": YES, "hints": [HINT]}, {"sight": YES, "hints": [HINT]}),
        ({"sights": [YES, NO], "next_batch": None}, {"sights": [YES, NO]}),
    ],
)
def test_json(server: Answering, console: Console, answer: Any, printed: Any) -> None:
    """`--json` prints the JSON of the admin API, without any markup."""
    server.will_answer(answer)
    client = AdminClient(server.url, "t")
    if "sight" in answer:
        explain(client, console, "@alice:demo", "@bob:demo", as_json=True)
    else:
        show_list(client, console, ListQuestion.SEES, "@alice:demo", as_json=True)
    assert isinstance(console.file, io.StringIO)
    assert json.loads(console.file.getvalue()) == printed


def test_short_names(server: Answering, console: Console) -> None:
    """A user may be named by what is before the colon: the server knows whose user it is."""
    client = AdminClient(server.url, "t")
    server.will_answer({"sight": YES, "hints": []})
    assert explain(client, console, "alice", "bob", as_json=False)
    assert "@alice:demo sees @bob:demo" in shown(console)
    server.will_answer({"sights": [], "next_batch": None})
    show_list(client, console, ListQuestion.SEES, "alice", as_json=False)
    server.will_answer({"sights": [], "next_batch": None})
    show_list(client, console, ListQuestion.SEEN_BY, "bob", as_json=False)
    questions = [path.partition("/admin")[2] for path, _ in server.asked]
    assert questions[0] == "/explain?viewer=alice&subject=bob"
    assert questions[1].startswith("/sees?viewer=alice")
    assert questions[2].startswith("/seen_by?subject=bob")
