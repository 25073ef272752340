"""Requests: what their targets name, and their bodies bit by bit."""

import pytest

from lamplighter.errors import Malformed
from lamplighter.web.http.request import Request, RequestTarget


@pytest.mark.parametrize(
    ("target", "raw_path", "path", "query"),
    [
        ("/sync?since=%22a%22&x", "/sync", "/sync", "since=%22a%22&x"),
        ("/a%2Fb/%ff", "/a%2Fb/%ff", "/a/b/\ufffd", ""),
        ("/%zz?", "/%zz", "/%zz", ""),
        ("/?a?b", "/", "/", "a?b"),
        ("//double", "//double", "//double", ""),
        ("*", "*", "*", ""),
        ("http://lamp.test/sync?a=b", "/sync", "/sync", "a=b"),
        ("HTTPS://lamp.test:8448", "/", "/", ""),
        ("http://lamp.test?a=/b", "/", "/", "a=/b"),
        ("lamp.test:443", "lamp.test:443", "lamp.test:443", ""),
    ],
)
def test_targets(target: str, raw_path: str, path: str, query: str) -> None:
    """A target is a path, once as sent and once decoded, and a query; a host before it is cut."""
    assert RequestTarget.of(target) == RequestTarget(path, raw_path, query, has_query="?" in target)


def test_taking_the_body() -> None:
    """Each part of the body is taken once."""
    request = Request("PUT", RequestTarget.of("/"), [])
    assert (request.unread, request.take_body()) == (0, b"")
    request.body = bytearray(b"abc")
    assert (request.unread, request.take_body()) == (3, b"abc")
    assert (request.unread, request.take_body()) == (0, b"")


def test_nonsense() -> None:
    """What is no request ends the connection, and says why."""
    problem = Malformed("no")
    request = Request.of_nonsense(problem)
    assert (request.problem, request.is_broken, request.keeps_alive) == (problem, True, False)
