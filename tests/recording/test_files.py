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
    """The written events are read again; only the owner can read the file, also an older one."""
    path = tmp_path / "log"
    path.touch(0o644)
    writer = RecordWriter(path, 10**6, 2)
    writer.write(EVENTS[:5], NOW)
    writer.write(EVENTS[5:], NOW)
    assert list(read_record(path)) == list(EVENTS)
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


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "there is no such file"),
        (b"2026-11-25 it was a dark night\n", "not a record of decisions"),
        (b"", "not a record of decisions"),
        (
            gzip.compress(b'["began",1,2,"demo",5000]\n["nonsense"]\n', mtime=0),
            "no line of a record",
        ),
        (gzip.compress(b'["began",1,1,"demo",5000]\n', mtime=0), "this record has the form 1"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes | None, problem: str) -> None:
    """The error for a path without a record, or with a file of another kind, names the path."""
    path = tmp_path / "log"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordUnreadable, match=f"log: {problem}"):
        list(read_record(path))
