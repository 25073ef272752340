"""The parameters of the admin API: users, and pages of lists."""

import pytest

from lamplighter.errors import InvalidId
from lamplighter.ids import ServerName
from lamplighter.web.admin.queries import user_named
from tests.web.admin.operator import Operator

HERE = ServerName("demo")


@pytest.mark.parametrize(
    ("text", "user_id"),
    [
        ("bob", "@bob:demo"),
        ("@bob", "@bob:demo"),
        ("@bob:demo", "@bob:demo"),
        ("bob:elsewhere.org:8448", "@bob:elsewhere.org:8448"),
        ("@bob:elsewhere.org", "@bob:elsewhere.org"),
    ],
)
def test_names(text: str, user_id: str) -> None:
    """A name without a server is of this server; the sigil may be left out."""
    assert user_named(text, HERE) == user_id


@pytest.mark.parametrize("text", ["", "bob:", "b\0b", "bob:a b", "x" * 256])
def test_what_is_nobody(text: str) -> None:
    """A text that makes no user ID is refused."""
    with pytest.raises(InvalidId):
        user_named(text, HERE)


@pytest.mark.parametrize("path", ["/users", "/online", "/destinations"])
async def test_limits(operator: Operator, path: str) -> None:
    """A limit that is not a whole number from 1 to 1000 is refused by name.

    A limit may have any number of leading zeros.
    """
    out_of_range = ["0", "0" * 5_000, "1001", "9" * 30, "9" * 5_000]
    expected = dict.fromkeys(out_of_range, "must be a whole number from 1 to 1000")
    expected |= {
        it: f"{it!r} is not a whole number" for it in ("-1", "x", "", "1.5", "²", "1_0", "٣")
    }
    answers = {it: await operator.request("GET", path, {"limit": it}) for it in expected}
    assert {it: (answer.status, answer.json) for it, answer in answers.items()} == {
        it: (400, {"errcode": "M_INVALID_PARAM", "error": f"limit: {problem}"})
        for it, problem in expected.items()
    }
    assert (await operator.request("GET", path, {"limit": "0" * 5_000 + "7"})).status == 200


@pytest.mark.parametrize(
    ("start", "status", "errcode"),
    [("a\0b", 400, "M_INVALID_PARAM"), ("x" * 256, 413, "M_TOO_LARGE")],
)
async def test_a_malformed_start(operator: Operator, start: str, status: int, errcode: str) -> None:
    """A malformed `from` is refused."""
    response = await operator.request("GET", "/users", {"from": start})
    assert (response.status, response.json["errcode"]) == (status, errcode)


async def test_behind_everything(operator: Operator) -> None:
    """The page after the last entry is empty."""
    assert await operator.get("/users", **{"from": "~"}) == {"users": [], "next_batch": None}
