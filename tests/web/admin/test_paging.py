"""Lists in pages."""

import pytest

from tests.web.admin.operator import Operator


@pytest.mark.parametrize("limit", ["0", "0" * 5_000, "1001", "9" * 30, "9" * 5_000])
@pytest.mark.parametrize("path", ["/users", "/online", "/destinations"])
async def test_limits(operator: Operator, path: str, limit: str) -> None:
    """A limit that is not from 1 to 1000 is refused by name."""
    response = await operator.request("GET", path, {"limit": limit})
    assert (response.status, response.json) == (
        400,
        {
            "errcode": "M_INVALID_PARAM",
            "error": "limit: must be a whole number from 1 to 1000",
        },
    )


@pytest.mark.parametrize("limit", ["-1", "x", "", "1.5", "²", "1_0", "٣"])
async def test_a_limit_that_is_no_number(operator: Operator, limit: str) -> None:
    """A limit that is not a whole number is refused by name."""
    response = await operator.request("GET", "/users", {"limit": limit})
    error = f"limit: {limit!r} is not a whole number"
    assert (response.status, response.json) == (
        400,
        {"errcode": "M_INVALID_PARAM", "error": error},
    )


async def test_leading_zeros(operator: Operator) -> None:
    """A limit may have any number of leading zeros."""
    assert (await operator.request("GET", "/users", {"limit": "0" * 5_000 + "7"})).status == 200


@pytest.mark.parametrize(
    ("start", "status", "errcode"),
    [("a\0b", 400, "M_INVALID_PARAM"), ("x" * 256, 413, "M_TOO_LARGE")],
)
async def test_where_a_part_begins(
    operator: Operator, start: str, status: int, errcode: str
) -> None:
    """A malformed `from` is refused."""
    response = await operator.request("GET", "/users", {"from": start})
    assert (response.status, response.json["errcode"]) == (status, errcode)


async def test_behind_everything(operator: Operator) -> None:
    """The page after the last entry is empty."""
    assert await operator.get("/users", **{"from": "~"}) == {"users": [], "next_batch": None}
