"""`lamplighter replay`: how other modules would have decided about recorded events."""

import asyncio
import sys
from pathlib import Path

import msgspec
from rich.console import Console

from lamplighter.cli.replay_report import as_json_values, report_lines
from lamplighter.config import load_config
from lamplighter.devtools.replay import Replay
from lamplighter.logs import set_up_logs
from lamplighter.recording.files import read_record

__all__ = ["replay"]


def replay(record: Path, path: Path, *, as_json: bool) -> int:
    """Replay the record with the configuration at *path*, print what differs; return the exit code.

    Raises `ConfigError`, `ModuleError` and `RecordUnreadable`.
    """
    config = load_config(path)
    set_up_logs("error", config.log.format)  # the report has the failures of modules
    report = asyncio.run(Replay(config).run(read_record(record)))
    if as_json:
        encoded = msgspec.json.format(msgspec.json.encode(as_json_values(report)), indent=2)
        sys.stdout.write(f"{encoded.decode()}\n")
    else:
        console = Console(highlight=False)
        for part in report_lines(report):
            console.print(part)
    return 1 if len(report.differences) else 0
