"""Requests to the admin API from the command line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lamplighter.cli.admin_client import TOKEN_VARIABLE, AdminClient, read_token
from lamplighter.errors import AdminUnavailable
from tests.cli.answering import Answering, answering
from tests.cli.test_visibility import YES


@pytest.fixture
def server() -> Iterator[Answering]:
    """A server that answers as the test says."""
    with answering() as server:
        yield server


class _Answer(msgspec.Struct):
    number: int


def test_a_question(server: Answering) -> None:
    """A request has the token in its header, and the answer is decoded to its type."""
    server.will_answer({"number": 7})
    answer = AdminClient(f"{server.url}/", "secret").get("/server", {"a": "@b c"}, _Answer)
    assert answer == _Answer(7)
    assert server.asked == [("/_lamplighter/admin/server?a=%40b+c", "Bearer secret")]


def test_a_list_of_several_parts(server: Answering) -> None:
    """A list is fetched to its end, also past empty pages."""
    server.will_answer({"sights": [{**YES, "subject": "@a:demo"}], "next_batch": "@a:demo"})
    server.will_answer({"sights": [], "next_batch": "@b:demo"})
    server.will_answer({"sights": [{**YES, "subject": "@c:demo"}], "next_batch": None})
    found = list(AdminClient(server.url, "t").visibility("/sees", {"viewer": "@alice:demo"}))
    assert [it.subject for it in found] == ["@a:demo", "@c:demo"]
    queries = [path.partition("?")[2] for path, _ in server.asked]
    assert queries == [
        "viewer=%40alice%3Ademo&limit=500",
        "viewer=%40alice%3Ademo&limit=500&from=%40a%3Ademo",
        "viewer=%40alice%3Ademo&limit=500&from=%40b%3Ademo",
    ]


@pytest.mark.parametrize(
    ("status", "content", "problem"),
    [
        (401, {"errcode": "M_UNKNOWN_TOKEN", "error": "no"}, "does not accept this admin token"),
        (
            404,
            {"errcode": "M_UNRECOGNIZED", "error": "no"},
            "has no admin API: set admin.token_hash there; `lamplighter admin-token` makes one",
        ),
        (400, {"errcode": "M_INVALID_PARAM", "error": "limit: x"}, "limit: x (M_INVALID_PARAM)"),
        (502, "Bad gateway", "answers 502, but not as Lamplighter does"),
        (200, {"number": "x"}, "answers, but not as Lamplighter does"),
        (200, "hello", "answers, but not as Lamplighter does"),
    ],
)
def test_answers_of_no_use(server: Answering, status: int, content: Any, problem: str) -> None:
    """Each error is one line that begins with the server's address."""
    server.will_answer(content, status)
    with pytest.raises(AdminUnavailable) as raised:
        AdminClient(server.url, "t").get("/server", {}, _Answer)
    assert str(raised.value) == f"{server.url}: {problem}"


def test_nobody_there(server: Answering) -> None:
    """For an address at which nobody listens, the error says so, and why."""
    with answering() as gone:
        pass
    with pytest.raises(AdminUnavailable) as raised:
        AdminClient(gone.url, "t").get("/server", {}, _Answer)
    assert str(raised.value) == f"{gone.url}: cannot be reached: Connection refused"


@pytest.mark.parametrize(
    "url", ["", "localhost:8008", "ftp://x", "http://", "http://a:x", "http://ü"]
)
def test_what_is_no_address(url: str) -> None:
    """A URL that is not the address of a server is refused before anything is sent."""
    with pytest.raises(AdminUnavailable) as raised:
        AdminClient(url, "t")
    assert str(raised.value) == f"--url: {url!r} is not the address of a server"


def test_where_the_token_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token comes from the file that was named, else from the environment."""
    file = tmp_path / "token"
    file.write_text("from-the-file\n")
    monkeypatch.setenv(TOKEN_VARIABLE, "from-the-environment")
    assert (read_token(file), read_token(None)) == ("from-the-file", "from-the-environment")


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff"])
def test_files_without_a_token(tmp_path: Path, content: bytes) -> None:
    """A file that holds anything but a token is refused."""
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(AdminUnavailable) as raised:
        read_token(file)
    assert str(raised.value) == f"{file}: is no file with a token and nothing else"


def test_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token the error says where a token could be."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(AdminUnavailable) as raised:
        read_token(None)
    assert str(raised.value) == "no admin token: give --token-file, or set LAMPLIGHTER_ADMIN_TOKEN"
    with pytest.raises(AdminUnavailable, match="cannot be read: No such file or directory"):
        read_token(tmp_path / "nothing")
