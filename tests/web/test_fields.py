"""What fields and path parameters may hold."""

import ast
from pathlib import Path

import pytest
from starlette.requests import Request

from lamplighter.errors import Forbidden, InvalidId, InvalidParam, MissingParam, TooLarge
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Requester
from lamplighter.presence.state import Presence
from lamplighter.web import fields

ALICE = Requester(UserId("@alice:demo"), DeviceId("PHONE"))


def request(query: bytes = b"", **path_params: str) -> Request:
    """Return a request with these parameters."""
    return Request({"type": "http", "query_string": query, "path_params": path_params})


def test_text_has_a_limit_in_bytes() -> None:
    """255 bytes are taken, 256 are M_TOO_LARGE, and the message names the field."""
    assert fields.text("name", "x" * 255) == "x" * 255
    with pytest.raises(TooLarge, match="name: longer than 255 bytes"):
        fields.text("name", "ä" * 128)


def test_text_holds_no_nul() -> None:
    """Not every database keeps a NUL, so none is taken."""
    with pytest.raises(InvalidParam, match="name: must not contain a NUL"):
        fields.text("name", "a\0b")


def test_a_device_id_is_not_empty() -> None:
    """A device ID may be absent, not empty: that one is the server's own."""
    assert fields.device_id(None) is None
    assert fields.device_id("PHONE") == "PHONE"
    with pytest.raises(InvalidParam, match="device_id: must not be empty"):
        fields.device_id("")


def test_a_display_name_may_be_longer() -> None:
    """Names have 1024 bytes, and may be absent."""
    assert fields.display_name("name", None) is None
    assert fields.display_name("name", "x" * 1024) == "x" * 1024
    with pytest.raises(TooLarge, match="name: longer than 1024 bytes"):
        fields.display_name("name", "x" * 1025)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("7", 7),
        ("007", 7),
        ("0" * 5_000 + "12", 12),
        ("999999999999999", 999_999_999_999_999),
        ("1" + "0" * 15, fields.LARGEST),
        ("9" * 5_000, fields.LARGEST),
    ],
)
def test_a_whole_number(text: str, number: int) -> None:
    """A number may have leading zeros, and has an upper bound; no length of it is an error."""
    assert fields.natural("limit", text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1_000", "1.5", " 1", "1 ", "²", "٣", "x" * 90])
def test_what_is_no_whole_number(text: str) -> None:
    """A sign, an underscore, a space or a digit of another script makes no number."""
    with pytest.raises(InvalidParam) as refused:
        fields.natural("limit", text)
    assert str(refused.value) == f"limit: {text[:60]!r} is not a whole number"


def test_nothing_else_makes_numbers_of_text() -> None:
    """Every integer parameter is read by `natural`: `int` is called in two other places only."""
    web = Path(fields.__file__).parent
    calls = {
        path.relative_to(web).as_posix()
        for path in web.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "int"
    }
    # The length that a body has by its header, and that an application gives its own answer.
    assert calls == {"fields.py", "body.py", "http/streaming.py"}


def test_ids_in_the_path_are_checked() -> None:
    """A room or user ID in the path is well-formed, or an error."""
    assert fields.room_id(request(room_id="!a:x")) == "!a:x"
    assert fields.user_id(request(user_id="@a:x")) == "@a:x"
    with pytest.raises(InvalidId):
        fields.room_id(request(room_id="#a:x"))
    with pytest.raises(InvalidId):
        fields.user_id(request(user_id="a"))


def test_what_is_ones_own_is_nobody_elses() -> None:
    """The path's user must be the requester."""
    assert fields.own_user_id(request(user_id="@alice:demo"), ALICE) == "@alice:demo"
    with pytest.raises(Forbidden, match="@alice:demo only"):
        fields.own_user_id(request(user_id="@bob:demo"), ALICE)


def test_a_query_parameter_may_be_needed() -> None:
    """A parameter that is needed and absent is M_MISSING_PARAM; an empty one is there."""
    assert fields.query(request(b"a=b"), "a") == "b"
    assert fields.query(request(b"a="), "a") == ""
    with pytest.raises(MissingParam, match="a: missing"):
        fields.query(request(b"b=c"), "a")


PLAIN, WITH_BUSY = fields.PresenceNames(busy=False), fields.PresenceNames(busy=True)


def test_names_of_presences() -> None:
    """The specification's names name presences; `busy` has its MSC's name, where it is allowed."""
    for name in ("online", "unavailable", "offline"):
        assert [it.parse("presence", name) for it in (PLAIN, WITH_BUSY)] == [Presence(name)] * 2
    assert WITH_BUSY.parse("presence", Presence.BUSY) is Presence.BUSY


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "''"),
        ("Online", "'Online'"),
        ("online ", "'online '"),
        ("busy", "'busy'"),
        ("x" * 61, f"'{'x' * 60}'"),
        ("a\nb", r"'a\nb'"),
    ],
)
def test_names_of_no_presence(name: str, shown: str) -> None:
    """Anything else is refused, with the field, a part of the value, and what is allowed."""
    with pytest.raises(InvalidParam) as refused:
        PLAIN.parse("set_presence", name)
    assert str(refused.value) == f"set_presence: {shown} is none of offline, unavailable, online"
    with pytest.raises(InvalidParam) as refused:
        WITH_BUSY.parse("presence", name)
    allowed = "offline, unavailable, online, org.matrix.msc3026.busy"
    assert str(refused.value) == f"presence: {shown} is none of {allowed}"
