"""Hydrogen in a real browser: somebody logs in, reads and writes."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest

from tests.interop.chromium import CHROMIUM, Tab, new_tab
from tests.interop.clients import Person, register
from tests.interop.hydrogen import PACKAGES, hydrogen
from tests.interop.processes import ServerProcess

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(
        not (PACKAGES / "hydrogen-view-sdk").is_dir(),
        reason="Hydrogen is not installed: run npm ci in tests/interop/npm",
    ),
]

#: What Hydrogen asks for and goes on without. The browser notes each 404 as an error.
_GOES_ON_WITHOUT = ("/.well-known/matrix/client", "/org.matrix.msc2697.v2/dehydrated_device")


@pytest.fixture
async def tab(server: ServerProcess, browser: str) -> AsyncIterator[Tab]:
    """Hydrogen's page, where nobody is logged in."""
    async with hydrogen(server.url) as url, new_tab(browser) as tab:
        await tab.looks(width=1100, height=700)
        await tab.open(url)
        yield tab


async def fill_in(tab: Tab, selector: str, text: str) -> None:
    """Write *text* into a field of the page."""
    await tab.until(f"document.querySelector('{selector}')")
    await tab.value(f"document.querySelector('{selector}').focus()")
    await tab.types(text)


async def log_in(tab: Tab, name: str) -> None:
    """Log in by the form, and wait for the list of rooms."""
    await fill_in(tab, "#username", name)
    await fill_in(tab, "#password", "wonderland")
    await tab.value("document.querySelector('.PasswordLoginView button[type=submit]').click()")
    await tab.until("document.querySelector('.RoomList a')")


async def tea_party(alice: Person, bob: Person) -> str:
    """Let alice and bob share a room in which bob has said more than fits on a screen."""
    body = {"preset": "public_chat", "name": "Tea party"}
    room_id = (await alice.ask("POST", "/createRoom", body)).json["room_id"]
    room = quote(room_id, safe="")
    assert (await bob.ask("POST", f"/rooms/{room}/join", {})).status == 200
    for number in range(60):
        content = {"msgtype": "m.text", "body": f"cup {number}."}
        path = f"/rooms/{room}/send/m.room.message/{number}"
        assert (await bob.ask("PUT", path, content)).status == 200
    return room


async def heard(person: Person, room: str) -> str:
    """Return the next message that somebody hears."""
    while True:
        rooms = (await person.sync(timeout=30_000)).json.get("rooms", {}).get("join", {})
        for found in rooms.values():
            for event in found["timeline"]["events"]:
                if event["type"] == "m.room.message":
                    return str(event["content"]["body"])


async def test_reading_and_writing(
    server: ServerProcess, http: aiohttp.ClientSession, tab: Tab
) -> None:
    """Somebody logs in with Hydrogen, reads up to the first message, and sends one.

    Bob gets it, and what he answers is on the screen; no error ever is.
    """
    alice = await register(http, server.url, "alice")
    bob = await register(http, server.url, "bob")
    room = await tea_party(alice, bob)
    await bob.sync()
    await log_in(tab, "alice")
    await tab.value("document.querySelector('.RoomList a').click()")
    await tab.until("document.body.innerText.includes('cup 59.')")
    shown = "document.querySelector('.Timeline').innerText"
    top = "document.querySelector('.Timeline_scroller').scrollTop = 0"
    await tab.until(f"({top}, {shown}.includes('cup 0.'))")
    await fill_in(tab, ".MessageComposer textarea", "More tea?")
    await tab.presses("Enter")
    assert await heard(bob, room) == "More tea?"
    content = {"msgtype": "m.text", "body": "Yes, please!"}
    await bob.ask("PUT", f"/rooms/{room}/send/m.room.message/more", content)
    await tab.until(f"{shown}.includes('Yes, please!')")
    text = await tab.value("document.body.innerText")
    assert "Could not" not in text
    assert "wrong" not in text
    assert await tab.value("document.querySelectorAll('.error, .status.failed').length") == 0
    assert [it for it in tab.problems if not any(path in it for path in _GOES_ON_WITHOUT)] == []


async def test_a_message_read_is_read(
    server: ServerProcess, http: aiohttp.ClientSession, tab: Tab
) -> None:
    """Hydrogen sends a receipt for a message on its screen, and bob gets the receipt."""
    alice = await register(http, server.url, "alice")
    bob = await register(http, server.url, "bob")
    room = await tea_party(alice, bob)
    await bob.sync()
    await log_in(tab, "alice")
    content = {"msgtype": "m.text", "body": "Look!"}
    await bob.ask("PUT", f"/rooms/{room}/send/m.room.message/look", content)
    await tab.until("document.querySelector('.RoomList .unread')")
    await tab.value("document.querySelector('.RoomList a').click()")
    receipts: list[str] = []
    while alice.user_id not in receipts:
        rooms = (await bob.sync(timeout=30_000)).json.get("rooms", {}).get("join", {})
        for found in rooms.values():
            for event in found["ephemeral"]["events"]:
                if event["type"] == "m.receipt":
                    by_type = [it["m.read"] for it in event["content"].values()]
                    receipts += [user_id for readers in by_type for user_id in readers]
    assert receipts == [alice.user_id]
