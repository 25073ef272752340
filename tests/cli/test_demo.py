"""The demo, as run from a fresh clone."""

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.interop.processes import reserved_port

pytestmark = pytest.mark.processes

#: How long the demo may take to end on the busiest machine.
PATIENCE: Final = 300


class Demo:
    """`lamplighter demo` in a process of its own, without a terminal."""

    def __init__(self, port: int) -> None:
        self.port = port
        command = [sys.executable, "-m", "lamplighter", "demo", "--listen", f"127.0.0.1:{port}"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def lines_until(self, beginning: str) -> list[str]:
        """Return what it prints, up to the line that begins so."""
        assert self._process.stdout is not None
        lines: list[str] = []
        for line in self._process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith(beginning):
                return lines
        raise AssertionError(f"the demo has ended: {lines} {self.end()}")

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Send a signal; return the exit code and what stands on the standard error."""
        if number is not None:
            self._process.send_signal(number)
        _, errors = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, errors

    def kill(self) -> None:
        """Leave nothing behind."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def running_demo(port: int) -> Iterator[Demo]:
    """Run the demo, whatever becomes of the test."""
    demo = Demo(port)
    try:
        yield demo
    finally:
        demo.kill()


@pytest.fixture
def demo() -> Iterator[Demo]:
    """A demo that has just been started."""
    with reserved_port() as port, running_demo(port) as demo:
        yield demo


def paste(line: str) -> Any:
    """Do what a line with `curl` does; return the JSON that it prints."""
    _, *words = shlex.split(line, comments=True)
    options = dict(pairwise(words))
    url = next(urlsplit(word) for word in words if word.startswith("http"))
    name, _, value = options["-H"].partition(": ")
    connection = HTTPConnection(url.netloc, timeout=PATIENCE)
    connection.request(options.get("-X", "GET"), url.path, options.get("-d"), {name: value})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def test_the_story(demo: Demo) -> None:
    """The demo prints the routed update with its reason, and what the other one did not get."""
    lines = demo.lines_until("Serving")
    base = f"http://127.0.0.1:{demo.port}"
    assert lines[:3] == [
        f"Lamplighter serves {base}. alice, bob and charlie share no room.",
        "The module CustomPresenceRouter shows bob to alice.",
        "bob sets his status: online “lighting the lamps”",
    ]
    received, missed, why = lines[3:6]
    words, _, content = received.partition(": ")
    assert words == "alice's /sync receives bob's presence"
    assert {**json.loads(content), "last_active_ago": ...} == {
        "presence": "online",
        "last_active_ago": ...,
        "currently_active": True,
        "status_msg": "lighting the lamps",
    }
    assert missed == "charlie's /sync receives nothing of bob"
    assert why == (
        "Why: alice was told: bob is online “lighting the lamps” "
        "(because: module CustomPresenceRouter)"
    )
    assert lines[6] == "To try more:"
    assert [line.strip().split()[0] for line in lines[7:-3]] == ["curl"] * 4
    assert lines[-3] == f"  The dashboard: {base}/_lamplighter/"
    assert lines[-2].startswith("  The token that it asks for: lamp_")
    assert lines[-1] == "Serving until Ctrl-C."


def test_trying_more(demo: Demo) -> None:
    """The lines to paste do what they say; whom the demo tells shows as it happens; Ctrl-C ends it
    with code 0 and without a complaint.
    """
    put, *syncs = [line for line in demo.lines_until("Serving") if line.startswith("  curl")]
    assert paste(put) == {}
    assert demo.lines_until("alice was told")[-1] == (
        "alice was told: bob is unavailable “lunch” (because: module CustomPresenceRouter)"
    )
    senders = [{event["sender"] for event in paste(line)["presence"]["events"]} for line in syncs]
    assert senders == [{"@alice:demo", "@bob:demo"}, {"@bob:demo"}, {"@charlie:demo"}]
    assert demo.end(signal.SIGINT) == (0, "")


def test_the_dashboard(demo: Demo) -> None:
    """The token that is printed opens the admin API."""
    token = demo.lines_until("  The token")[-1].split()[-1]
    connection = HTTPConnection("127.0.0.1", demo.port, timeout=PATIENCE)
    headers = {"Authorization": f"Bearer {token}"}
    connection.request("GET", "/_lamplighter/admin/server", headers=headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert (answer["server_name"], answer["modules"]) == ("demo", ["CustomPresenceRouter"])


def test_a_port_in_use(demo: Demo) -> None:
    """A second demo at the same address says so in one line, and ends with code 2."""
    demo.lines_until("Serving")
    with running_demo(demo.port) as second:
        assert second.end() == (
            2,
            f"error: --listen: 127.0.0.1:{demo.port} is in use: give another address, or end what "
            "listens there; such as --listen 127.0.0.1:8009\n",
        )
