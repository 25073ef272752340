"""Chaos: processes are killed, frozen and cut off, engines restart, modules change, people go on.

`make chaos` does it for as long as one likes: CHAOS_SECONDS=3600, with another CHAOS_SEED.
"""

import os
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: the same acts and faults in the same order
from typing import Final

import aiohttp
import pytest

from tests.chaos.client import PATIENCE
from tests.chaos.cluster import ChaosCluster, cluster_of
from tests.chaos.diary import Diary
from tests.chaos.rules import random_rule
from tests.chaos.story import USERS, Story
from tests.postgresql import PostgresServer
from tests.valkey import ValkeyServer

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif("CHAOS_SECONDS" not in os.environ, reason="`make chaos` runs it"),
]

#: How long nodes and engines fail, in all; what lies between takes about as long.
SECONDS: Final = float(os.environ.get("CHAOS_SECONDS", "60"))
SEED: Final = int(os.environ.get("CHAOS_SEED", "1"))
#: After so many seconds of faults there are none, until everybody believes the truth.
ROUND: Final = 30.0


@pytest.mark.timeout(900 + 10 * SECONDS)
async def test_chaos(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str, valkey: ValkeyServer
) -> None:
    """Whatever fails, nobody is shown who may not be seen, or as offline while polling.

    What was acknowledged is kept: in the end every client shows the last status of everybody whom
    it may see, and every node tells the same.
    """
    diary = Diary(tmp_path / "diary.txt")
    rule = random_rule(0, USERS, Random(SEED))
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=PATIENCE) as http,
        cluster_of(ChaosCluster(tmp_path, postgres, postgres_url, valkey, diary, http), rule) as it,
    ):
        story = Story(SEED, http, it, diary, rule)
        await story.begin()
        problems, left = list[str](), SECONDS
        while left > 0 and not problems:
            await story.round(min(ROUND, left))
            problems = await story.problems()
            left -= ROUND
        await story.end()
    problems = problems or it.problems  # what the logs of nodes that were ended now say
    where = f"CHAOS_SEED={SEED}, everything is in {tmp_path}"
    assert problems == [], "\n".join([where, *problems])
