"""The files of a record, whose size and number are bounded.

A file consists of pieces, and each piece is a gzip member of its own: a piece that a crash has cut
off makes no other piece unreadable. Each file, and the record after a loss, begins with a snapshot
of everything, so that it can be read without the earlier events.
"""

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from lamplighter.clock import Timestamp
from lamplighter.errors import RecordUnreadable
from lamplighter.recording.codec import Decoder, Encoder
from lamplighter.recording.events import Began, RecordedEvent
from lamplighter.recording.world import RecordedWorld

__all__ = ["RecordWriter", "read_record", "record_files"]

_MAGIC: Final = b"\x1f\x8b\x08"
_CHUNK: Final = 65_536


class RecordWriter:
    """Appends events to the file at *path*; used from one thread.

    A file that has grown beyond *size* bytes becomes `path.1`, and so on; the newest *files* stay.
    Only their owner can read them.
    """

    def __init__(self, path: Path, size: int, files: int) -> None:
        self._path = path
        self._size = size
        self._files = files
        self._encoder: Encoder | None = None
        #: Everything as it is after all events so far, written or lost.
        self.world: RecordedWorld | None = None

    def write(self, events: Iterable[RecordedEvent], now: Timestamp) -> None:
        """Append *events*, which begin with `Began`; raise `OSError` if they are lost."""
        text: list[bytes] = []
        if self._encoder is None and self.world is not None:
            self._encoder = Encoder()
            text += [self._encoder.encode(event) for event in self.world.snapshot(now)]
        for event in events:
            if isinstance(event, Began):
                self._encoder, self.world = Encoder(), RecordedWorld(event)
            assert self._encoder is not None
            assert self.world is not None
            self.world.apply(event)
            text.append(self._encoder.encode(event))
        try:
            self._append(gzip.compress(b"".join(text)))
        except OSError:
            self._encoder = None  # the next events need a snapshot before them
            raise

    def _append(self, data: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            with os.fdopen(descriptor, "ab", closefd=False) as file:
                file.write(data)
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size >= self._size:
            self._rotate()

    def _rotate(self) -> None:
        self._encoder = None
        for number in range(self._files - 1, 0, -1):
            older = _numbered(self._path, number - 1)
            if older.exists():
                older.replace(_numbered(self._path, number))
        if self._files == 1:
            self._path.unlink(missing_ok=True)


def record_files(path: Path) -> list[Path]:
    """Return the files of the record at *path*, the oldest first; raise `RecordUnreadable`."""
    found = [path] if path.exists() else []
    number = 1
    while (older := _numbered(path, number)).exists():
        found.insert(0, older)
        number += 1
    if not found:
        raise RecordUnreadable(f"{path}: there is no such file")
    return found


def read_record(path: Path) -> Iterator[RecordedEvent]:
    """Yield the events of the files at *path*, the oldest first; raise `RecordUnreadable`.

    Damaged pieces are left out, with everything after them up to the next snapshot.
    """
    for file in record_files(path):
        try:
            data = file.read_bytes()
        except OSError as error:
            raise RecordUnreadable(f"{file}: cannot be read: {error.strerror}") from None
        if not data.startswith(_MAGIC):
            raise RecordUnreadable(f"{file}: not a record of decisions")
        try:
            yield from _events(data)
        except RecordUnreadable as problem:
            raise RecordUnreadable(f"{file}: {problem}") from None


def _events(data: bytes) -> Iterator[RecordedEvent]:
    decoder: Decoder | None = None
    for piece in _pieces(data):
        if piece is None:
            decoder = None
            continue
        for line in piece.splitlines():
            if line.startswith(b'["began"'):
                decoder = Decoder()
            if decoder is not None and (event := decoder.decode(line)) is not None:
                yield event


def _pieces(data: bytes) -> Iterator[bytes | None]:
    """Yield the text of each piece, and None for a damaged one."""
    at = 0
    while 0 <= at < len(data):
        text, end = _inflated(data, at)
        yield text
        at = end if text is not None else data.find(_MAGIC, at + 1)


def _inflated(data: bytes, at: int) -> tuple[bytes | None, int]:
    """Return the text of the piece at *at*, and where it ends."""
    inflating = zlib.decompressobj(wbits=31)
    text = bytearray()
    try:
        while not inflating.eof:
            if at >= len(data):
                return None, at
            text += inflating.decompress(data[at : at + _CHUNK])
            at += _CHUNK
    except zlib.error:
        return None, at
    return bytes(text), min(at, len(data)) - len(inflating.unused_data)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path
