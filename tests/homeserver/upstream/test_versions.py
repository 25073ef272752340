"""GET /_matrix/client/versions in front of a homeserver."""

from pathlib import Path
from typing import Any

import pytest

from tests.homeserver.upstream.front import front

VERSIONS = "/_matrix/client/versions"
BUSY = "org.matrix.msc3026.busy_presence"


@pytest.mark.parametrize(
    ("config", "said", "told"),
    [
        (
            "presence: {busy: true}",
            {"versions": ["v1.11"], "unstable_features": {"a.b": True, BUSY: False}, "x": [1]},
            {"versions": ["v1.11"], "unstable_features": {"a.b": True, BUSY: True}, "x": [1]},
        ),
        (
            "presence: {busy: true}",
            {"versions": ["v1.11"]},
            {"versions": ["v1.11"], "unstable_features": {BUSY: True}},
        ),
        ("presence: {busy: true}", ["nonsense"], ["nonsense"]),
        ("presence: {busy: true}", {"unstable_features": 5}, {"unstable_features": 5}),
        ("", {"versions": ["v1.11"]}, {"versions": ["v1.11"]}),
    ],
)
async def test_busy_is_offered(tmp_path: Path, config: str, said: Any, told: Any) -> None:
    """If it is switched on here, clients are told so; all else is as the homeserver says it."""
    async with front(tmp_path, config) as door:
        door.small.instead[VERSIONS] = (200, said)
        answer = await door.server.http.request("GET", VERSIONS)
        assert (answer.status, answer.json) == (200, told)
        assert answer.headers["x-homeserver"] == "small"
        assert answer.headers["content-length"] == str(len(answer.body))


async def test_what_is_no_answer(tmp_path: Path) -> None:
    """An error, or an answer that is too long to be that, passes as it came."""
    async with front(tmp_path, "presence: {busy: true}") as door:
        for answer in ((503, {"errcode": "M_UNKNOWN"}), (200, {"versions": ["v" * 70_000]})):
            door.small.instead[VERSIONS] = answer
            passed = await door.server.http.request("GET", VERSIONS)
            assert (passed.status, passed.json) == answer
