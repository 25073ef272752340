"""The log: structured, and without secrets."""

import io
import json
import logging
import warnings
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from lamplighter.logs import LogFormat, remove_secrets, set_up_logs
from tests.logs_as_before import logs_as_before as logs_as_before  # used by every test here

TALKATIVE = ("aiosqlite", "alembic")


class Written(io.StringIO):
    """A stream that may pretend to be a terminal."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@dataclass
class LoginOfALibrary:
    access_token: str


# fmt: off
SECRETS: list[tuple[dict[str, object], dict[str, object]]] = [
    ({"access_token": "s3cret"}, {"access_token": "[hidden]"}),
    ({"Authorization": "Bearer s3cret"}, {"Authorization": "[hidden]"}),
    ({"new_password": "s3cret"}, {"new_password": "[hidden]"}),
    ({"headers": {"Proxy-Authorization": "s3cret"}},
     {"headers": {"Proxy-Authorization": "[hidden]"}}),
    ({"headers": [("authorization", "Bearer s3cret")]},
     {"headers": [["authorization", "Bearer [hidden]"]]}),
    ({"headers": {b"x": b"Bearer s3cret"}}, {"headers": {"b'x'": "b'Bearer [hidden]'"}}),
    ({"url": "/sync?access_token=s3cret&since=1"},
     {"url": "/sync?access_token=[hidden]&since=1"}),
    ({"event": "got Bearer s3cret, refused"}, {"event": "got Bearer [hidden], refused"}),
    ({"event": 'X-Matrix origin="a",sig="s3cret"'}, {"event": "X-Matrix [hidden]"}),
    ({"body": '{"password": "s3c\\"ret", "user": "bob"}'},
     {"body": '{"password": "[hidden]", "user": "bob"}'}),
    ({"body": "{'access_token': 's3cret', 'n': 1}"},
     {"body": "{'access_token': '[hidden]', 'n': 1}"}),
    ({"body": {"auth": {"password": "s3cret"}}}, {"body": {"auth": {"password": "[hidden]"}}}),
    ({"login": LoginOfALibrary("s3cret")},
     {"login": "LoginOfALibrary(access_token='[hidden]')"}),
    ({"exception": "KeyError: 'access_token=s3cret'"},
     {"exception": "KeyError: 'access_token=[hidden]'"}),
    ({"event": "hello", "user": "@bob:example.org", "count": 3, "password": None, "ok": True},
     {"event": "hello", "user": "@bob:example.org", "count": 3, "password": None, "ok": True}),
    ({"event": "the password was changed by a bearer of news"},
     {"event": "the password was changed by a bearer [hidden] news"}),
]
# fmt: on


@pytest.mark.parametrize(("event", "written"), SECRETS)
def test_secrets_are_hidden(event: dict[str, object], written: dict[str, object]) -> None:
    """Tokens, passwords and Authorization headers are hidden, by key and by form."""
    assert remove_secrets(None, "info", event) == written


def test_json_lines() -> None:
    """An event is one JSON object with time, level, logger and fields."""
    stream = Written()
    set_up_logs("info", "json", stream)
    structlog.get_logger("lamplighter.test").info("user is online", user_id="@a:b", devices=2)
    (event,) = stream.events()
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "user is online",
        "level": "info",
        "logger": "lamplighter.test",
        "user_id": "@a:b",
        "devices": 2,
    }


def test_libraries_take_the_same_way() -> None:
    """A library's event through the standard library becomes the same kind of line."""
    stream = Written()
    set_up_logs("info", "json", stream)
    logging.getLogger("aiohttp").warning("%s %s", "GET", "/?access_token=s3cret", extra={"n": 1})
    (event,) = stream.events()
    del event["timestamp"]
    assert event == {
        "event": "GET /?access_token=[hidden]",
        "level": "warning",
        "logger": "aiohttp",
        "n": 1,
    }


@pytest.mark.parametrize("style", ["console", "json"])
def test_tracebacks_are_cleaned(style: LogFormat) -> None:
    """A traceback is written without the secret in the exception."""
    stream = Written()
    set_up_logs("info", style, stream)
    try:
        raise ValueError("refused access_token=s3cret")
    except ValueError:
        structlog.get_logger("a").exception("failed")
        logging.getLogger("b").exception("failed")
    text = stream.getvalue()
    assert "s3cret" not in text
    assert text.count("ValueError: refused access_token=[hidden]") == 2


def test_level() -> None:
    """Events below the configured level are not written."""
    stream = Written()
    set_up_logs("warning", "json", stream)
    structlog.get_logger("a").info("one")
    logging.getLogger("a").info("two")
    structlog.get_logger("a").error("three")
    assert [event["event"] for event in stream.events()] == ["three"]


@pytest.mark.parametrize(
    ("style", "terminal", "is_json"),
    [
        ("auto", False, True),
        ("auto", True, False),
        ("console", False, False),
        ("json", True, True),
    ],
)
def test_who_gets_json(style: LogFormat, terminal: bool, is_json: bool) -> None:
    """With `auto` a terminal gets text and a pipe gets JSON."""
    stream = Written(terminal=terminal)
    set_up_logs("info", style, stream)
    structlog.get_logger("a").info("hello")
    assert stream.getvalue().startswith("{") is is_json


def test_no_colours_in_a_pipe() -> None:
    """Text in a pipe has no escape sequences."""
    stream = Written()
    set_up_logs("info", "console", stream)
    structlog.get_logger("a").info("hello")
    assert "\x1b" not in stream.getvalue()


def test_set_up_twice() -> None:
    """A second set-up replaces the first, so no event is written twice."""
    first, second = Written(), Written()
    set_up_logs("info", "json", first)
    set_up_logs("info", "json", second)
    structlog.get_logger("a").info("hello")
    assert (len(first.events()), len(second.events())) == (0, 1)


@pytest.mark.parametrize("name", TALKATIVE)
def test_talkative_libraries(name: str) -> None:
    """Talkative libraries log only warnings and errors."""
    stream = Written()
    set_up_logs("debug", "json", stream)
    logging.getLogger(f"{name}.inside").info("a step")
    logging.getLogger(f"{name}.inside").warning("a trouble")
    assert [event["event"] for event in stream.events()] == ["a trouble"]
    set_up_logs("error", "json", stream)
    logging.getLogger(name).warning("a trouble")
    assert len(stream.events()) == 1


def test_warnings_are_logged() -> None:
    """Python's warnings are log events."""
    stream = Written()
    set_up_logs("info", "json", stream)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    (event,) = stream.events()
    assert event["logger"] == "py.warnings"
    assert "old thing" in event["event"]
