"""matrix-js-sdk, on which Element is built, drives the real server: two people in one room."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from tests.interop.hydrogen import PACKAGES
from tests.interop.processes import ServerProcess

NODE = shutil.which("node")
_SCRIPT = Path(__file__).parent / "npm" / "two_people.mjs"

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="Node is not installed"),
    pytest.mark.skipif(
        not (PACKAGES / "matrix-js-sdk").is_dir(),
        reason="matrix-js-sdk is not installed: run npm ci in tests/interop/npm",
    ),
]


async def test_two_people_and_a_room(server: ServerProcess) -> None:
    """Two people at matrix-js-sdk see presence, typing, messages and receipts of each other.

    The history is read to its beginning, rooms and people are found, and a leave is seen.
    """
    assert NODE is not None
    process = await asyncio.create_subprocess_exec(
        NODE, str(_SCRIPT), server.url, stdout=-1, stderr=-1
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, errors.decode()
    told = [json.loads(line) for line in output.decode().splitlines() if line.startswith('["')]
    assert told == [
        ["members", ["@alice:lamp.test", "@bob:lamp.test"]],
        ["presence", ["unavailable", "Making tea"]],
        ["typing", "@bob:lamp.test"],
        ["message", "More tea?"],
        ["receipt", True],
        ["history", ["cup 0", 26]],
        ["rooms", 0],
        ["people", ["@alice:lamp.test"]],
        ["left", True],
    ]
