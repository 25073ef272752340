"""Recorded hours, decided again by other rules: what differs is what an oracle says."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from structlog.testing import capture_logs

from tests.scenarios.rehearsals import Hour, found_in, hours, record, replay


@pytest.mark.timeout(900)
@given(hour=hours)
def test_the_replay_finds_what_the_oracle_finds(hour: Hour) -> None:
    """The replay finds exactly the viewers for whom the visibility or the state of a user differs;
    the same rules, tried over their own record, differ in nothing.
    """
    with TemporaryDirectory() as folder, capture_logs():
        path = Path(folder) / "decisions.log"
        expected = asyncio.run(record(hour, path))
        assert found_in(asyncio.run(replay(hour, path))) == expected
        same = Hour(hour.old, hour.old, (), ())
        assert found_in(asyncio.run(replay(same, path))) == set()
