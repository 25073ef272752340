"""The dashboard, in a real browser, at a server that runs by itself."""

import itertools
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from lamplighter.web.admin.auth import hash_of
from tests.interop.chromium import CHROMIUM, Tab, new_tab
from tests.interop.clients import Person, register
from tests.interop.conftest import MakeServer
from tests.interop.processes import SERVER, ServerProcess

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")

TOKEN: Final = "lamp_in-the-browser"
ALICE, BOB, CARL = (f"@{name}:{SERVER}" for name in ("alice", "bob", "carl"))
CONFIG: Final = f"""\
admin: {{token_hash: {hash_of(TOKEN)}}}
modules:
  - module: tests.interop.modules.Discreet
    config: {{viewer: "{CARL}", user: "{BOB}"}}
"""
#: The first would show carl alice, whom he does not see; the other would show nothing.
SHADOWS: Final = f"""\
  - module: tests.interop.modules.Frank
    config: {{viewer: "{CARL}", user: "{ALICE}"}}
    shadow: true
  - {{module: tests.interop.modules.Failing, shadow: true}}
"""
FAILING: Final = "  - module: tests.interop.modules.Failing\n"
SILENT: Final = "  - module: tests.interop.modules.Silent\nmodule_timeout: 100ms\n"

#: The text of a change and of whom it was told to, by its place from the top.
CHANGE: Final = "document.querySelectorAll('#changes-list li')[{}].innerText"
#: What a cell of the matrix is called.
CELL: Final = "document.querySelector('[data-place=\"{} {}\"]').getAttribute('aria-label')"
#: Whether a part of the page is shown, and all of it is there.
SHOWN: Final = (
    "!document.querySelector('#{0}').hidden && document.querySelector('#{0} .card:last-child')"
)

#: What a delivery is said to cost after so many in a second that took 50 ms of processor time.
COST: Final = """
import('/_lamplighter/figures.js').then(({{ restartFigures, showFigures }}) => {{
  const figures = (second, delivered) => ({{
    at_ts: second * 1000, users: {{}}, outboxes: 0, polls: 0, syncs: 0, delivered,
    cpu_seconds: second * 0.05,
  }});
  restartFigures();
  showFigures(figures(0, 0));
  showFigures(figures(1, {delivered}));
  return document.querySelector('#cost-number').textContent;
}})
"""


#: What `contrasts.js` says.
CONTRASTS: Final = Path(__file__).with_name("contrasts.js").read_text()


@dataclass
class Stage:
    """A server with alice and bob in one room, and carl, to whom a module shows bob; and a page."""

    server: ServerProcess
    alice: Person
    bob: Person
    carl: Person
    tab: Tab

    @property
    def address(self) -> str:
        return f"{self.server.url}/_lamplighter/"

    async def sign_in(self) -> None:
        """Open the page, type the token, and return once events come in."""
        await self.tab.open(self.address)
        await self.tab.until("document.activeElement?.id === 'token'")
        await self.tab.types(TOKEN)
        await self.tab.presses("Enter")
        await self.tab.until("document.querySelector('#live').innerText === 'live'")
        await self.tab.until("document.querySelector('#watching-split').innerText !== ''")

    async def choose(self, *users: str) -> None:
        """Put users into the matrix, in place of those who are there; wait for the answers."""
        await self.tab.until("sessionStorage.getItem('lamplighter-matrix') !== null")
        await self.tab.until("!document.querySelector('.mark.waiting')")
        await self.tab.value(
            "document.querySelectorAll('.matrix th button').forEach(() => "
            "document.querySelector('.matrix th button').click())"
        )
        for user_id in users:
            await self.tab.value("document.querySelector('#matrix-user').focus()")
            await self.tab.types(user_id)
            await self.tab.presses("Enter")
        await self.tab.until(f"document.querySelectorAll('.cell').length === {len(users) ** 2}")
        await self.tab.until("!document.querySelector('.mark.waiting')")


@pytest.fixture
def more_modules() -> str:
    """Modules beside the discreet one; tests name their own."""
    return ""


@pytest.fixture
async def stage(
    more_modules: str, make_server: MakeServer, http: aiohttp.ClientSession, browser: str
) -> AsyncIterator[Stage]:
    """Everybody is there, and nobody has looked at anything."""
    server = make_server(CONFIG + more_modules)
    server.start()
    people = [await register(http, server.url, name) for name in ("alice", "bob", "carl")]
    alice, bob, carl = people
    body = {"preset": "public_chat", "name": "The hall"}
    room = (await alice.ask("POST", "/createRoom", body)).json["room_id"]
    await bob.ask("POST", f"/rooms/{room}/join", {})
    for person in people:
        await person.sync()
    async with new_tab(browser) as tab:
        await tab.looks(width=1280, height=900)
        yield Stage(server, alice, bob, carl, tab)
        server.stop()


async def test_the_token_opens_the_page(stage: Stage) -> None:
    """A wrong token is refused in words; the right one is kept until the tab is closed, and no
    longer than the operator wants.
    """
    tab = stage.tab
    await tab.open(stage.address)
    await tab.until("document.activeElement?.id === 'token'")
    await tab.types("wrong")
    await tab.presses("Enter")
    await tab.until("document.querySelector('#sign-in-problem').innerText !== ''")
    assert await tab.text("#sign-in-problem") == "This is not the admin token."
    # A 401 is written to the browser's console, whatever the page makes of it.
    assert [it for it in tab.problems if "401" not in it] == []
    tab.problems.clear()
    await stage.sign_in()
    await tab.open(stage.address)
    await tab.until("document.querySelector('#live')?.innerText === 'live'")
    assert TOKEN not in await tab.value("document.documentElement.outerHTML + location.href")
    await tab.value("document.querySelector('#sign-out').click()")
    await tab.until("document.activeElement?.id === 'token'")
    assert await tab.value("sessionStorage.getItem('lamplighter-admin-token')") is None
    assert tab.problems == []


async def test_changes_with_recipients_and_reasons(stage: Stage) -> None:
    """A change shows as it happens, with who is told and why, and as each is shown it."""
    tab = stage.tab
    await stage.sign_in()
    await stage.bob.put_status("online", "<b>brb</b>")
    await tab.until("document.querySelector('#changes-list').innerText.includes('brb')")
    lines = (await tab.value(CHANGE.format(0))).split("\n")
    assert lines[1:] == [
        "bob is online “<b>brb</b>”",
        "The hall → alice",
        "module Discreet → carl shown as online",
    ]
    await tab.until("document.querySelector('#people-list').innerText.includes('brb')")
    assert await tab.value("document.querySelectorAll('#app b b, #app .says b').length") == 0
    assert tab.problems == []


async def test_what_was_before_is_there(stage: Stage) -> None:
    """Changes from before the page was opened are on it. The matrix begins with users whom a module
    has shown to somebody, and with their viewers.
    """
    tab = stage.tab
    await stage.bob.put_status("online", "before")
    await stage.sign_in()
    await tab.until("document.querySelector('#changes-list').innerText.includes('before')")
    await tab.until("document.querySelectorAll('.cell').length === 9")
    names = "[...document.querySelectorAll('#matrix thead th')].map((it) => it.innerText)"
    assert (await tab.value(names))[:2] == ["carl", "bob"]
    await stage.bob.put_status("online", "after")
    await tab.until("document.querySelector('#changes-list').innerText.includes('after')")
    text = await tab.text("#changes-list")
    assert (text.count("before"), text.index("after") < text.index("before")) == (1, True)
    assert tab.problems == []


async def test_figures_agree(stage: Stage) -> None:
    """Online are those who are online, others are counted apart, above the list as in it; of too
    few deliveries nothing is said.
    """
    tab = stage.tab
    await stage.alice.put_status("online", "")
    await stage.bob.put_status("unavailable", "")
    await stage.carl.put_status("unavailable", "")
    await stage.sign_in()
    await tab.until("document.querySelector('#online-split').innerText === 'besides 2 unavailable'")
    assert await tab.text("#online-number") == "1"
    await tab.until("document.querySelector('#people-count').innerText !== ''")
    counted = (await tab.text("#people-count")).split(" · ")
    assert sorted(counted) == ["1 online", "2 unavailable"]
    assert await tab.text("#cost-number") == "\N{EN DASH}"
    assert await tab.text("#cost-why") == "too few deliveries to say"
    assert await tab.value(COST.format(delivered=999)) == "\N{EN DASH}"
    assert await tab.value(COST.format(delivered=1_000)) == "50\N{MICRO SIGN}s"


async def test_the_matrix_follows(stage: Stage) -> None:
    """The chosen pair, and whether the two see each other, changes as it happens."""
    tab = stage.tab
    await stage.sign_in()
    await stage.choose("alice", "bob", "@carl")
    await tab.value("document.querySelector('[data-place=\"0 1\"]').focus()")
    await tab.until("document.querySelector('#matrix-why').innerText.startsWith('alice sees bob')")
    await stage.bob.put_status("unavailable", "follow me")
    await tab.until("document.querySelector('#matrix-why').innerText.includes('follow me')")
    assert (await tab.value(CELL.format(2, 0))).startswith("carl does not see alice")
    room = (await stage.alice.ask("GET", "/joined_rooms")).json["joined_rooms"][0]
    await stage.carl.ask("POST", f"/rooms/{room}/join", {})
    await tab.until(f"{CELL.format(2, 0)} === 'carl sees alice: shared room The hall'")
    await stage.carl.ask("POST", f"/rooms/{room}/leave", {})
    await tab.until(f"{CELL.format(2, 0)}.startsWith('carl does not see alice')")
    assert await tab.value("document.activeElement.dataset.place") == "0 1"
    assert tab.problems == []


async def test_a_person_by_keyboard(stage: Stage) -> None:
    """Somebody is found by a part of the name and opened by Enter; the page follows what
    happens.
    """
    tab = stage.tab
    await stage.bob.put_status("online", "at work")
    await stage.sign_in()
    await tab.value("document.querySelector('#search').focus()")
    await tab.types("BO")
    await tab.until("document.querySelector('#search-list').innerText.includes('bob')")
    await tab.presses("Enter")
    await tab.until("document.querySelectorAll('#detail-parts .card').length === 5")
    assert await tab.value("document.activeElement.id + location.hash") == (
        "detail-title#/people/%40bob%3Ademo".replace("demo", SERVER.replace(":", "%3A"))
    )
    by, sees, devices, rooms, told = [
        (await tab.text(f"#detail-parts > :nth-child({place})")).split("\n")
        for place in range(1, 6)
    ]
    assert [line for line in by if line] == [
        "Who sees this user, and why",
        "alice sees online “at work”",
        "shared room The hall",
        "carl sees online altered by Discreet",
        "module Discreet",
    ]
    assert any(line.startswith("alice is ") for line in sees)
    assert "polls" in devices
    assert rooms[-1].startswith("The hall !")
    assert any("at work" in line for line in told)
    await stage.bob.put_status("online", "at home")
    await tab.until("document.querySelector('#detail-said').innerText.includes('at home')")
    await tab.value("document.querySelector('.back').focus()")
    await tab.presses("Enter")
    await tab.until("!document.querySelector('#overview').hidden")
    assert tab.problems == []


async def test_a_module_is_opened(stage: Stage) -> None:
    """A module's page says how it does and what it has sent lately, and nothing of others."""
    tab = stage.tab
    await stage.bob.put_status("online", "for carl")
    await stage.sign_in()
    await tab.until("document.querySelector('#modules-list a')")
    await tab.value("document.querySelector('#modules-list a').focus()")
    await tab.presses("Enter")
    await tab.until("document.querySelectorAll('#detail-parts .card').length === 2")
    text = await tab.text("#detail-parts")
    assert "working" in text
    assert "module Discreet → carl" in text
    assert "The hall" not in text
    assert tab.problems == []


async def test_the_stream_can_be_held(stage: Stage) -> None:
    """While it is held nothing moves, and what has happened meanwhile is counted, then shown."""
    tab = stage.tab
    await stage.sign_in()
    await tab.value("document.querySelector('#hold').click()")
    await stage.bob.put_status("online", "unheard")
    await tab.until("document.querySelector('#hold').innerText === 'Resume (1 new)'")
    assert "unheard" not in await tab.text("#changes")
    await tab.value("document.querySelector('#hold').click()")
    await tab.until("document.querySelector('#changes-list').innerText.includes('unheard')")
    assert await tab.text("#hold") == "Pause"


async def test_who_sees_whom_by_keyboard(stage: Stage) -> None:
    """Each pair of chosen users is a cell that arrow keys reach; its reason is read and shown."""
    tab = stage.tab
    await stage.bob.put_status("online", "brb")
    await stage.sign_in()
    await stage.choose(ALICE, BOB, CARL)
    assert await tab.value(CELL.format(0, 1)) == "alice sees bob: shared room The hall"
    assert await tab.value(CELL.format(2, 1)) == "carl sees bob: module Discreet"
    stranger = await tab.value(CELL.format(2, 0))
    assert stranger.startswith("carl does not see alice: They share no room that counts.")
    marks = "[...document.querySelectorAll('.cell i')].map((it) => it.className.slice(5)).join(' ')"
    assert await tab.value(marks) == "yes yes no yes yes no no altered yes"
    await tab.value("document.querySelector('#matrix-again').focus()")
    await tab.value("document.querySelector('.cell[tabindex=\"0\"]').focus()")
    await tab.presses("ArrowDown", "ArrowDown", "ArrowRight")
    why = await tab.text("#matrix-why")
    assert [line for line in why.split("\n") if line] == [
        "carl sees bob as online",
        "module Discreet",
        "altered by module Discreet",
    ]
    assert await tab.value("document.querySelectorAll('.cell[tabindex=\"0\"]').length") == 1
    assert tab.problems == []


@pytest.mark.parametrize("more_modules", [FAILING])
async def test_a_module_that_fails(stage: Stage) -> None:
    """A module that raises is shown with what is wrong, and goes on being asked."""
    await stage.bob.put_status("online", "brb")
    tab = stage.tab
    await stage.sign_in()
    await tab.until("document.querySelector('#modules-list').innerText.includes('out of order')")
    text = await tab.text("#modules-list")
    assert "RuntimeError('out of order')" in text
    assert text.count("working") == 2


@pytest.mark.parametrize("more_modules", [SILENT])
async def test_a_module_that_is_paused(stage: Stage) -> None:
    """A module that loses time is paused and shown so, and the button closes its breaker."""
    for word in "abcdef":
        await stage.bob.put_status("online", word)
    tab = stage.tab
    await stage.sign_in()
    await tab.until("document.querySelector('#modules-list').innerText.includes('paused')")
    text = await tab.text("#modules-list")
    await tab.value("document.querySelector('#modules-list button').click()")
    await tab.until("!document.querySelector('#modules-list').innerText.includes('paused')")
    assert "working" in text
    assert (await tab.text("#servers-empty")).startswith("Federation is off")


@pytest.mark.parametrize("more_modules", [SHADOWS])
async def test_a_module_in_the_shadow(stage: Stage) -> None:
    """A module in the shadow stands behind those that count, with what it would change."""
    tab = stage.tab
    await stage.sign_in()
    await stage.alice.put_status("online", "<i>brb</i>")
    await tab.until("document.querySelector('.would')?.innerText.includes('brb')")
    counting, frank, failing = [
        (await tab.text(f"#modules-list > li:nth-child({place})")).split("\n")
        for place in (1, 2, 3)
    ]
    assert (counting[:2], frank[:2]) == (["Discreet", "working"], ["Frank", "shadow"])
    would, _, _when = frank[-1].rpartition(" · ")
    assert would == "carl would see alice as online “<i>brb</i>”"
    assert failing[0] == "Failing"
    assert failing[-1] == "So far it would change nothing."
    assert tab.problems == []


async def test_modules_are_reloaded(stage: Stage) -> None:
    """The button reloads the modules, and says which run now, or why the old ones go on."""
    tab = stage.tab
    await stage.sign_in()
    await tab.until("document.querySelector('#modules-list').innerText.includes('Discreet')")
    stage.server.configure(CONFIG + FAILING)
    await tab.value("document.querySelector('#modules-reload').focus()")
    await tab.presses("Enter")
    await tab.until("document.querySelector('#modules-said.problem')")
    refused = await tab.text("#modules-said")
    assert refused.startswith("The old modules stay: module Failing fails when it is tried:")
    stage.server.configure(CONFIG.replace("Discreet", "Frank") + "log: {level: warning}\n")
    await tab.until("!document.querySelector('#modules-reload').disabled")
    await tab.value("document.querySelector('#modules-reload').focus()")
    await tab.presses("Enter")
    await tab.until("document.querySelector('#modules-list').innerText.includes('Frank')")
    assert await tab.text("#modules-said") == (
        "Reloaded: Frank. These keys need a restart: log.level."
    )
    assert await tab.value("document.querySelectorAll('#modules-list > li').length") == 1
    assert tab.problems == []


async def test_the_server_goes_and_comes_back(stage: Stage) -> None:
    """When the server stops the page says so, and when it runs again the page goes on by itself."""
    tab = stage.tab
    await stage.sign_in()
    stage.server.stop()
    await tab.until("document.querySelector('#live').innerText === 'no answer'")
    stage.server.start()
    await tab.until("document.querySelector('#live').innerText === 'live'")
    await stage.alice.put_status("online", "back again")
    await tab.until("document.querySelector('#changes-list').innerText.includes('back again')")


@pytest.mark.parametrize("more_modules", [SHADOWS])
async def test_every_width_and_both_schemes(stage: Stage) -> None:
    """Nothing is wider than the window, from a phone's up, and text can be told from its ground.

    With SCREENSHOTS=folder in the environment the pictures are there to be looked at.
    """
    tab = stage.tab
    await stage.sign_in()
    await tab.value("document.querySelector('#modules-reload').click()")
    await tab.until("document.querySelector('#modules-said').innerText.startsWith('Reloaded')")
    await stage.choose(ALICE, BOB, CARL, "@somebody.with.a.very.long.name:far.away.example.org")
    for width, scheme in itertools.product((360, 768, 1280), ("light", "dark")):
        await tab.looks(width=width, height=800, scheme=scheme)
        await tab.until(f"innerWidth === {width}")
        for page in ("", f"people/{BOB}", "modules/Frank"):
            await tab.value(f"location.hash = '#/{page}'")
            await tab.until(SHOWN.format("detail" if page else "overview"))
            assert await tab.value("document.documentElement.scrollWidth <= innerWidth"), width
            contrasts = await tab.value(CONTRASTS)
            assert [it for it in contrasts if it[1] < 4.5] == [], (scheme, page)
            assert len(contrasts) > 8
            _keep(await tab.photograph(), f"{scheme}-{width}-{page.partition('/')[0]}.png")
    assert tab.problems == []


def _keep(picture: bytes, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder, name).write_bytes(picture)
