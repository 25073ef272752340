"""Modules that are replaced while clients poll, by others or by newer ones of the same name."""

import asyncio
import gc
import sys
import weakref
from typing import Any, Final

import pytest

from lamplighter.service.reload import ReloadResult
from tests.compat.rules_in_files import ALICE, BOB, CHARLIE, Folder, lab
from tests.compat.world import UNSEEN
from tests.scenarios.worlds import turns

#: The content for a user who is not visible any more.
THE_END = {"presence": "offline"}


#: What the rule shows alice before and after the reload (None: there is no module), and what her
#: next sync then has after bob and charlie come online.
RELOADS: Final[dict[str, tuple[list[str] | None, list[str] | None, set[str], set[str]]]] = {
    "others": ([BOB], [CHARLIE], {CHARLIE}, {BOB}),
    "nobody": ([BOB], [], set(), {BOB}),
    "no modules any more": ([BOB], None, set(), {BOB}),
    "first modules": (None, [BOB], {BOB}, set()),
}


@pytest.mark.parametrize(("old", "new", "shown", "ended"), RELOADS.values(), ids=RELOADS)
async def test_the_new_rule_counts(
    folder: Folder, old: list[str] | None, new: list[str] | None, shown: set[str], ended: set[str]
) -> None:
    """After the reload the new rule names the recipients; of an undelivered state that only the
    old rule allowed, only the end is delivered.
    """
    folder.rule({ALICE: old or []})
    async with lab(folder.configure(*([] if old is None else ["rule.Rule"]))) as world:
        await world.alice.sync(**UNSEEN)
        await world.bob.set_status("online", "brb")
        folder.rule({ALICE: new or []})
        folder.configure(*([] if new is None else ["rule.Rule"]))
        assert await world.reload() == ReloadResult(() if new is None else ("Rule",))
        await world.bob.set_status("online", "back")
        await world.charlie.set_status("online")
        presence = (await world.alice.sync(**UNSEEN)).presence
        assert {it for it, content in presence.items() if content != THE_END} == shown
        assert {it for it, content in presence.items() if content == THE_END} == ended
        assert set((await world.alice.first_sync(**UNSEEN)).presence) == {ALICE, *shown}


@pytest.mark.parametrize(
    ("old", "new", "in_a_room", "read"),
    [
        (({}, None), ({ALICE: [BOB]}, None), False, "the truth"),
        (({ALICE: [BOB]}, "nothing"), ({}, None), True, "the truth"),
        (({}, None), ({ALICE: [BOB]}, "nothing"), True, "nothing"),
    ],
    ids=["newly visible", "altered no more", "newly altered"],
)
async def test_what_becomes_visible(
    folder: Folder,
    old: tuple[dict[str, list[str]], str | None],
    new: tuple[dict[str, list[str]], str | None],
    in_a_room: bool,
    read: str,
) -> None:
    """The next sync has the state that the new rule shows, however long ago the user changed."""
    folder.rule(old[0], say=old[1])
    async with lab(folder.configure("rule.Rule")) as world:
        if in_a_room:
            await world.server.room(world.alice, world.bob)
        await world.bob.set_status("online", "the truth")
        await world.alice.sync(**UNSEEN)
        folder.rule(new[0], say=new[1])
        await world.reload()
        await world.alice.sync(**UNSEEN)
        assert world.alice.reads(world.bob) == read


async def test_a_poll_that_waits(folder: Folder) -> None:
    """A waiting poll is answered with the users who became visible by the reload."""
    folder.rule({})
    async with lab(folder.configure("rule.Rule")) as world:
        await world.bob.set_status("online")
        await world.alice.sync(**UNSEEN)
        poll = await world.alice.polls(**UNSEEN)
        folder.rule({ALICE: [BOB]})
        await world.reload()
        assert set((await poll.answer()).presence) == {BOB}


async def test_what_the_old_rule_hid(folder: Folder) -> None:
    """Until the new rule has answered, a state that old and new rule hide is not shown."""
    folder.rule({ALICE: [BOB]}, say="nothing")
    async with lab(folder.configure("rule.Rule")) as world:
        await world.server.room(world.alice, world.bob)
        await world.bob.set_status("online", "secret 1")
        await world.alice.sync(**UNSEEN)
        slow = "import asyncio; [await asyncio.sleep(0) for _ in range(30)]"
        folder.rule({ALICE: [BOB]}, say="little", before=slow)
        await world.reload()
        said = []
        await world.alice.sync(**UNSEEN)
        said.append(world.alice.reads(world.bob))
        poll = await world.alice.polls(**UNSEEN)
        await world.bob.set_status("online", "secret 2")
        await poll.answer()
        said.append(world.alice.reads(world.bob))
        assert said == ["little", "little"]


HANGS = """
import asyncio
from rule import Rule

class Hanging(Rule):
    gate = asyncio.Event()
    async def get_users_for_states(self, state_updates):
        if any(state.status_msg == "hang" for state in state_updates):
            await self.gate.wait()
        return await super().get_users_for_states(state_updates)
"""


NAMES_ONLY = """
from rule import Rule

class Naming(Rule):
    async def get_users_for_states(self, state_updates):
        return {}
"""


async def test_a_question_that_is_open(folder: Folder) -> None:
    """The answer of an old module after the reload is dropped. Alice, who waited for it because the
    module has altered bob for her, gets the real state by their room; charlie, whom only the module
    named, gets nothing.
    """
    folder.write("hanging.py", HANGS)
    folder.rule({ALICE: [BOB], CHARLIE: [BOB]}, say="nothing")
    async with lab(folder.configure("hanging.Hanging")) as world:
        await world.server.room(world.alice, world.bob)
        await world.bob.set_status("online", "before")
        await world.alice.sync(**UNSEEN)
        await world.charlie.sync(**UNSEEN)
        module = world.server.lamplighter.modules.loaded[0].instance
        await world.bob.set_status("online", "hang")
        poll = await world.alice.polls(**UNSEEN)
        folder.rule({ALICE: [CHARLIE]})
        folder.configure("rule.Rule")
        await world.reload()
        await poll.answer()
        assert world.alice.reads(world.bob) == "hang"
        module.gate.set()  # type: ignore[attr-defined]  # a module of this test
        await world.server.settled()
        assert (await world.charlie.sync(**UNSEEN)).presence == {BOB: THE_END}


async def test_requests_under_way(folder: Folder) -> None:
    """A first sync and a GET that wait for an old module are answered by the new rule, also for
    users whom the new rule only names.
    """
    folder.write("hanging.py", HANGS)
    folder.rule({ALICE: [CHARLIE]})
    async with lab(folder.configure("hanging.Hanging")) as world:
        await world.bob.set_status("online", "hang")
        await world.charlie.set_status("online")
        poll = await world.alice.polls(**UNSEEN)
        asking = asyncio.ensure_future(world.alice.status_of(world.bob))
        await turns(20)
        folder.rule({ALICE: [BOB]})
        folder.write("naming.py", NAMES_ONLY)
        folder.configure("naming.Naming")
        await world.reload()
        assert set((await world.server.in_time(poll.answer())).presence) == {ALICE, BOB}
        assert (await world.server.in_time(asking))["status_msg"] == "hang"


async def test_the_code_is_new(folder: Folder) -> None:
    """Changes in the module's files count, even of the same second and the same size."""
    folder.rule({ALICE: [BOB]}, say="one")
    async with lab(folder.configure("rule.Rule")) as world:
        await world.alice.sync(**UNSEEN)
        old = world.server.lamplighter.modules.loaded[0].instance
        for say in ("two", "six"):
            folder.rule({ALICE: [BOB]}, say=say)
            await world.reload()
            await world.bob.set_status("online", f"before {say}")
            await world.alice.sync(**UNSEEN)
            assert world.alice.reads(world.bob) == say
        new = world.server.lamplighter.modules.loaded[0].instance
        assert type(old) is not type(new)


BROKEN = {
    "it is not Python": ("rule.py", "class Rule(", "modules[0].module: 'rule.Rule' cannot be"),
    "nor is the configuration": ("lamplighter.yaml", "server_name: [", "not YAML"),
    "a file beside it is not": ("rule_helpers.py", "1 +", "cannot be imported: SyntaxError"),
    "the class is gone": ("rule.py", "class Other: pass", "has no attribute 'Rule'"),
    "it ends the process": ("rule.py", "raise SystemExit(3)", "tried to end the server"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=list(BROKEN))
async def test_a_module_that_cannot_be_loaded(folder: Folder, broken: tuple[str, str, str]) -> None:
    """If the new module cannot be loaded, the result says why, and the old one stays in use."""
    folder.rule({ALICE: [BOB]})
    async with lab(folder.configure("rule.Rule")) as world:
        await world.alice.sync(**UNSEEN)
        name, text, problem = broken
        folder.write(name, text)
        old = sys.modules["rule"]
        result = await world.reload()
        assert result.modules == ("Rule",)
        assert problem in str(result.problem)
        assert sys.modules["rule"] is old
        await world.bob.set_status("online")
        assert set((await world.alice.sync(**UNSEEN)).presence) == {BOB}


FAILING = {
    "raises": ("raise RuntimeError('no data')", "get_users_for_states: RuntimeError('no data')"),
    "does not answer": ("await __import__('asyncio').Event().wait()", "no answer within"),
}


@pytest.mark.parametrize("failing", FAILING.values(), ids=list(FAILING))
async def test_a_module_that_fails_when_tried(folder: Folder, failing: tuple[str, str]) -> None:
    """Each new module is asked about some users; a module that fails does not come into use."""
    folder.rule({ALICE: [BOB]})
    async with lab(folder.configure("rule.Rule")) as world:
        await world.bob.set_status("online")
        before, problem = failing
        folder.rule({ALICE: [CHARLIE]}, before=before)
        result = await world.reload()
        assert str(result.problem).startswith("module Rule fails when it is tried: ")
        assert problem in str(result.problem)
        assert set((await world.alice.first_sync(**UNSEEN)).presence) == {ALICE, BOB}


async def test_other_keys(folder: Folder) -> None:
    """The result names changed keys that a reload does not take."""
    folder.rule({})
    async with lab(folder.configure("rule.Rule", module_timeout="1s")) as world:
        older = {"presence_router": {"module": "rule.Rule", "config": {"a": 1}}, "busy": True}
        folder.configure("rule.Rule", presence=older, listen="127.0.0.1:1")
        result = await world.reload()
        assert result.problem is None
        assert result.modules == ("Rule#1", "Rule#2")
        assert list(result.needs_restart) == ["listen", "presence.busy", "module_timeout"]


BUSY = """
from synapse.module_api import ModuleApi

class Busy:
    def __init__(self, config: dict, api: ModuleApi):
        self.api, self.word, self.heard, self.refused = api, config["word"], [], []
        api.looping_background_call(self.tick, 10_000)
        api.register_web_resource("/_synapse/client/" + config["path"], self.page)
        api.subscribe_to_presence(self.hear)
        api.run_in_background(self.begin)

    async def begin(self):
        await self.api.run_db_interaction("make", lambda txn: txn.execute("CREATE TABLE t (x)"))

    async def tick(self):
        await self.api.set_presence_for_users({"@bob:example.com": ("online", self.word)})

    async def hear(self, states):
        self.heard += [state.status_msg for state in states]

    async def page(self, request):
        return {"word": self.word}
"""


def busy(word: str, path: str) -> dict[str, Any]:
    """Return the entry of a busy module."""
    return {"module": "busy.Busy", "config": {"word": word, "path": path}}


async def test_all_that_is_a_modules(folder: Folder) -> None:
    """Background work, pages and subscriptions of the old modules end, and those of the new begin.
    Calls of the old ones have no effect.
    """
    folder.write("busy.py", BUSY)
    async with lab(folder.configure(busy("one", "old"))) as world:
        old: Any = world.server.lamplighter.modules.loaded[0].instance
        await world.server.advance(seconds=11)
        folder.configure(busy("two", "new"))
        await world.reload()
        new: Any = world.server.lamplighter.modules.loaded[0].instance
        await world.server.advance(seconds=11)
        assert (old.heard, new.heard) == (["one"], ["two"])
        statuses = [
            (await world.server.http.request("GET", f"/_synapse/client/{path}")).status
            for path in ("old", "new")
        ]
        assert statuses == [404, 200]
        with pytest.raises(Exception, match="other modules have replaced this one"):
            await old.tick()


async def test_the_old_code_is_let_go(folder: Folder) -> None:
    """The server keeps no reference to the old modules, so their memory is freed."""
    folder.write("busy.py", BUSY)
    folder.rule({ALICE: [BOB]})
    async with lab(folder.configure(busy("one", "old"), "rule.Rule")) as world:
        await world.alice.sync(**UNSEEN)
        await world.reload()
        old = [weakref.ref(it.instance) for it in world.server.lamplighter.modules.loaded]
        await world.server.advance(seconds=30)
        await world.alice.sync(**UNSEEN)
        await world.reload()
        await world.alice.sync(**UNSEEN)
        await world.server.settled()
        gc.collect()
        assert [it() for it in old] == [None, None]


async def test_a_set_that_is_never_used(folder: Folder) -> None:
    """A module that was instantiated beside one that failed leaves nothing behind."""
    folder.write("busy.py", BUSY)
    folder.rule({})
    async with lab(folder.configure(busy("one", "old"))) as world:
        folder.write("rule.py", "class Rule:\n    def __init__(self, config, api): 1 / 0")
        folder.configure(busy("two", "new"), "rule.Rule")
        result = await world.reload()
        assert "ZeroDivisionError" in str(result.problem)
        await world.server.advance(seconds=11)
        assert world.server.presence_of(world.bob).status_msg == "one"
