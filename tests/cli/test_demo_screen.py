"""The demo's live view."""

from collections import deque

from rich.console import Console

from lamplighter.cli.demo_screen import Screen
from lamplighter.cli.demo_text import Told
from lamplighter.devtools.server import running_server


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
