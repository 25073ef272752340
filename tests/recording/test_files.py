"""The files of a record."""

import gzip
import os
import stat
from pathlib import Path

import pytest

from lamplighter.clock import Timestamp
from lamplighter.errors import RecordUnreadable
from lamplighter.recording.events import Began, Known, RecordedBatch, RecordedEvent
from lamplighter.recording.files import RecordWriter, read_record, record_files
from tests.recording.samples import BEGAN, EVENTS, at, said
from tests.routing.people import BOB

NOW = Timestamp(at(99))


def messages(path: Path) -> list[str | None]:
    """Return bob's status messages in the recorded batches."""
    return [it.states[0].status_msg for it in read_record(path) if isinstance(it, RecordedBatch)]


def write_each(writer: RecordWriter, *events: RecordedEvent) -> None:
    """Write each event as a piece of its own."""
    for event in events:
        writer.write([event], NOW)


def test_there_and_back(tmp_path: Path) -> None:
    """The written events are read again; only the owner can read the file."""
    path = tmp_path / "log"
    writer = RecordWriter(path, 10**6, 2)
    writer.write(EVENTS[:5], NOW)
    writer.write(EVENTS[5:], NOW)
    assert list(read_record(path)) == list(EVENTS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_was_there_is_closed_to_others(tmp_path: Path) -> None:
    """A file that others could read becomes readable for its owner only."""
    path = tmp_path / "log"
    path.touch(0o644)
    RecordWriter(path, 10**6, 2).write([BEGAN], NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_rotation(tmp_path: Path) -> None:
    """The number of files is bounded, and the oldest one begins with a snapshot."""
    path = tmp_path / "log"
    writer = RecordWriter(path, 600, 3)
    write_each(writer, *EVENTS, *(said(number) for number in range(51)))
    files = record_files(path)
    assert [it.name for it in files] == ["log.2", "log.1", "log"]
    assert all(it.stat().st_size < 1200 for it in files)
    assert messages(path)[-1] == "50"
    [began, *_] = read_record(path)
    assert isinstance(began, Began)
    [known] = [it for it in list(read_record(path))[:5] if isinstance(it, Known)]
    assert BOB in {it.user_id for it in known.states}


def test_one_file(tmp_path: Path) -> None:
    """If there may be only one file, it is removed when it is full."""
    path = tmp_path / "log"
    writer = RecordWriter(path, 600, 1)
    write_each(writer, BEGAN, *(said(number) for number in range(30)))
    assert [it.name for it in tmp_path.iterdir()] in ([path.name], [])


def test_a_restart(tmp_path: Path) -> None:
    """After a restart the server appends to the same file."""
    path = tmp_path / "log"
    for number in range(2):
        write_each(RecordWriter(path, 10**6, 2), BEGAN, said(number))
    assert messages(path) == ["0", "1"]


@pytest.mark.parametrize("length", [1, 12, 30])
def test_a_piece_that_is_cut_off(tmp_path: Path, length: int) -> None:
    """A piece that a crash has cut off is lost, and the pieces after the restart are read."""
    path = tmp_path / "log"
    writer = RecordWriter(path, 10**6, 2)
    write_each(writer, BEGAN, said(1))
    whole = path.stat().st_size
    write_each(writer, said(2))
    os.truncate(path, whole + length)
    assert messages(path) == ["1"]
    write_each(RecordWriter(path, 10**6, 2), BEGAN, said(3), said(4))
    assert messages(path) == ["1", "3", "4"]


def test_a_disk_that_fails(tmp_path: Path) -> None:
    """Events that cannot be written are lost; the next piece begins with a snapshot."""
    folder = tmp_path / "folder"
    path = folder / "log"
    folder.mkdir()
    writer = RecordWriter(path, 10**6, 2)
    write_each(writer, BEGAN, said(1))
    folder.rename(tmp_path / "away")
    with pytest.raises(OSError, match="No such file"):
        write_each(writer, said(2))
    (tmp_path / "away").rename(folder)
    write_each(writer, said(3))
    assert messages(path) == ["1", "3"]
    known = [it.states[0].status_msg for it in read_record(path) if isinstance(it, Known)]
    assert known == ["2"]


def test_no_such_file(tmp_path: Path) -> None:
    """The error for a path without a record names the path."""
    with pytest.raises(RecordUnreadable, match="log: there is no such file"):
        list(read_record(tmp_path / "log"))


@pytest.mark.parametrize("content", [b"2026-11-25 it was a dark night\n", b""])
def test_another_kind_of_file(tmp_path: Path, content: bytes) -> None:
    """The error for a file of another kind names the file."""
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(RecordUnreadable, match="log: not a record of decisions"):
        list(read_record(path))


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (b'["began",1,2,"demo",5000]\n["nonsense"]\n', "no line of a record"),
        (b'["began",1,1,"demo",5000]\n', "this record has the form 1"),
    ],
)
def test_lines_of_another_kind(tmp_path: Path, lines: bytes, problem: str) -> None:
    """The error for lines that are not of this version of a record names the file."""
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(lines))
    with pytest.raises(RecordUnreadable, match=f"log: {problem}"):
        list(read_record(path))
