"""Which database and directory a configuration names."""

import sys
from pathlib import Path

import pytest

from lamplighter.app.storage import Storage
from lamplighter.config import parse_config_text
from lamplighter.errors import ConfigError


def storage(folder: Path, lines: str = "") -> Storage:
    """Return the storage of a configuration in *folder*."""
    return Storage.of(parse_config_text(f"server_name: x.org\n{lines}", folder / "x.yaml"))


def test_a_directory_is_made_either_way(tmp_path: Path) -> None:
    """Keys and the modules' database are in `data_dir`, also beside a PostgreSQL database."""
    for name, lines in (("one", ""), ("two", "database: postgresql://me@localhost/x")):
        made = storage(tmp_path / name, lines)
        assert made.data_dir == tmp_path / name / "data"
        assert made.modules_path == tmp_path / name / "data" / "modules.db"
        assert made.data_dir.stat().st_mode & 0o777 == 0o700


def test_without_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where asyncpg is not installed, the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.delitem(sys.modules, "lamplighter.database.postgresql", raising=False)
    with pytest.raises(ConfigError, match=r"install lamplighter\[postgresql\]"):
        storage(tmp_path, "database: postgresql://me@localhost/x")
