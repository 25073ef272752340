"""The data for the questions of a check, and how much of the module runs."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from lamplighter.devtools.check import Kind, Report, Subject, check_subject
from lamplighter.devtools.check.evidence import hours_in, text_of, words_in

PAIRS: Final = {"@dora:corp.org": ["@emil:corp.org"]}

FORGETS: Final = """
{reading}

class Rule:
    def __init__(self, config, api):
        self.file = config["file"]
        self.watchers = None
        api.register_presence_router_callbacks(
            get_users_for_states=self.states, get_interested_users=self.interest
        )

    async def states(self, updates):
        if self.watchers is None:
            self.watchers = read(self.file)
        told = {{}}
        for update in updates:
            for viewer in self.watchers.get(update.user_id, ()):
                told.setdefault(viewer, set()).add(update)
        return told

    async def interest(self, user_id):
        return set()
"""

READ: Final = """
import pathlib
def read(file):
    return parse(pathlib.Path(file).read_text())
"""

READING: Final = {
    "json": f"from json import loads as parse\n{READ}",
    "yaml": f"from yaml import safe_load as parse\n{READ}",
    "csv": (
        "import csv\n"
        "def parse(text):\n"
        "    return {a: [b] for a, b in csv.reader(text.splitlines())}\n"
        f"{READ}"
    ),
    "db": (
        "import sqlite3\n"
        "con = None\n"
        "def read(file):\n    return dict((a, [b]) for a, b in con.execute('SELECT * FROM pairs'))"
    ),
}


def write(kind: str, file: Path) -> None:
    """Write the pairs in a format."""
    [(user, [viewer])] = PAIRS.items()
    if kind == "db":
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE pairs (user, viewer)")
            connection.execute("INSERT INTO pairs VALUES (?, ?)", (user, viewer))
        return
    texts = {
        "json": json.dumps(PAIRS),
        "yaml": f'"{user}": ["{viewer}"]\n',
        "csv": f"{user},{viewer}\n",
    }
    file.write_text(texts[kind], encoding="utf-8")


def check(folder: Path, source: str, config: dict[str, Any], people: Path | None = None) -> Report:
    """Check the class `Rule` of a module with this source."""
    name = f"rule_{abs(hash((str(folder), source)))}"
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return check_subject(replace(Subject.of(f"{name}.Rule", config), people=people))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which modules are found."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("kind", READING)
def test_people_in_a_file(folder: Path, kind: str) -> None:
    """The check asks about people whom only a file names, in any format."""
    file = folder / f"pairs.{kind}"
    write(kind, file)
    reading = READING[kind].replace("con = None", f"con = sqlite3.connect({str(file)!r})")
    report = check(folder, FORGETS.format(reading=reading), {"file": str(file)})
    assert [(it.kind, it.message[:36]) for it in report.findings] == [
        (Kind.TOLD_NOT_SHOWN, "@emil:corp.org is told when @dora:co")
    ]
    assert [Path(it).name for it in report.files_read] == [file.name]


def test_people_in_a_file_of_their_own(folder: Path) -> None:
    """A file of people replaces the files that the module reads."""
    people = folder / "people.txt"
    people.write_text("@dora:corp.org, @emil:corp.org")
    reading = f"def read(file):\n    return {PAIRS!r} if file else {{}}".replace("@", "@' + '")
    source = FORGETS.format(reading=reading)
    assert [it.kind for it in check(folder, source, {"file": "x"}).findings] == [Kind.HARDLY_RUN]
    report = check(folder, source, {"file": "x"}, people)
    assert [it.kind for it in report.findings] == [Kind.TOLD_NOT_SHOWN]


BY_HOUR: Final = """
from datetime import date, datetime
import time

class Rule:
    def __init__(self, config, api):
        self.begin = config["from"]
        api.register_presence_router_callbacks(
            get_users_for_states=self.states, get_interested_users=self.interest
        )

    def open(self):
        hours, minutes = map(int, self.begin.split(":"))
        now = {now}
        return now == (hours, minutes)

    async def states(self, updates):
        return {{"@a:b.org": {{it for it in updates if it.user_id == "@c:b.org"}}}}

    async def interest(self, user_id):
        if user_id != "@a:b.org":
            return set()
        return set() if self.open() else {{"@c:b.org"}}
"""


@pytest.mark.parametrize(
    "now",
    [
        "(datetime.now().hour, datetime.now().minute)",
        "time.localtime(time.time())[3:5]",
        "time.gmtime()[3:5]",
    ],
)
def test_an_hour_by_pythons_clock(folder: Path, now: str) -> None:
    """The check finds a fault in one minute of the day that the configuration names."""
    report = check(folder, BY_HOUR.format(now=now), {"from": "17:42"})
    assert [it.kind for it in report.findings] == [Kind.TOLD_NOT_SHOWN]


def test_what_was_run(folder: Path) -> None:
    """The report has the number of lines that have run, and the lines that have never run."""
    report = check(folder, BY_HOUR.format(now="(0, 0)"), {"from": "17:42"})
    [covered] = report.coverage
    assert (covered.lines, covered.run, covered.never) == (10, 10, ())


BESIDE_THE_ANSWERS: Final = """
import asyncio

class Rule:
    def __init__(self, config, api):
        self.api = api
        self.has_waited = False
        api.register_presence_router_callbacks(
            get_users_for_states=self.states, get_interested_users=self.interest
        )
        api.looping_background_call(self.refresh, 1_000)
        asyncio.get_running_loop().call_later(1, self.later)

    async def refresh(self):
        self.is_fresh = True

    def later(self):
        asyncio.get_running_loop().call_soon(self.soon)

    def soon(self):
        self.is_later = True

    async def states(self, updates):
        return {}

    async def interest(self, user_id):
        if not self.has_waited:
            self.has_waited = True
            await asyncio.sleep(2)
            await self.api.defer_to_thread(self.in_thread, asyncio.get_running_loop())
        return set()

    def in_thread(self, loop):
        loop.call_soon_threadsafe(self.from_thread)

    def from_thread(self):
        self.has_heard = True
"""


def test_what_runs_beside_the_answers(folder: Path) -> None:
    """Lines that run at the start, in the background, after a time and in a thread have run."""
    [covered] = check(folder, BESIDE_THE_ANSWERS, {}).coverage
    assert (covered.lines, covered.run, covered.never) == (17, 17, ())


HARDLY: Final = """
class Rule:
    def __init__(self, config, api):
        api.register_presence_router_callbacks(
            get_users_for_states=self.states, get_interested_users=self.interest
        )

    async def states(self, updates):
        return {"@a:b.org": {it for it in updates if it.user_id == "@c:b.org"}}

    async def interest(self, user_id):
        return {"@c:b.org"} if user_id == "@a:b.org" else set()

    async def refresh(self):
        a = 1
        b = a
        c = b
        d = c
        e = d
        f = e
        return f
"""


def test_a_module_of_which_little_runs(folder: Path) -> None:
    """A module of which the check ran less than half is not called right."""
    [finding] = check(folder, HARDLY, {}).findings
    assert (finding.kind, finding.message) == (
        Kind.HARDLY_RUN,
        "only 36 % of the module's lines were run",
    )
    assert finding.details[0].endswith(":15-21")


def test_hours() -> None:
    """Times of day are found in text, and whole numbers under keys that speak of time."""
    config = {"from": 9, "opening": {"until": 17}, "at": ["7:05", "from 18:30:00 on"], "port": 8}
    assert hours_in(config) == {540, 1020, 425, 1110}
    assert hours_in("@bob:demo 10.0.0.1:8080 25:00 12:61") == set()
    assert hours_in({"hour": True}) == set()


def test_words() -> None:
    """Names are found without the punctuation around them."""
    assert words_in('{"@a:b.org": [bob], carol}; dave=erin') == [
        "@a:b.org", "bob", "carol", "dave", "erin",
    ]  # fmt: skip


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that cannot be read has no text."""
    assert text_of(tmp_path / "nowhere") == ""
