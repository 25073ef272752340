"""`lamplighter admin-token`."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamplighter.cli.admin_client import read_token
from lamplighter.cli.admin_token import admin_token
from lamplighter.cli.main import app
from lamplighter.config import parse_config_text
from lamplighter.errors import AdminUnavailable
from lamplighter.web.admin.auth import hash_of


def test_a_token_and_its_hash() -> None:
    """A new token is made each time, and lines for the configuration that hold its hash."""
    one, other = admin_token(), admin_token()
    assert one.token != other.token
    config = parse_config_text("\n".join(["server_name: a", *one.after[-2:]]), Path("x.yaml"))
    assert config.admin.token_hash == hash_of(one.token)
    assert not any(one.token in line for line in (*one.before, *one.after))


def test_a_file_takes_the_token_and_its_reader_reads_it(tmp_path: Path) -> None:
    """What `admin-token > file` writes is what `--token-file file` reads: the token alone."""
    result = CliRunner().invoke(app, ["admin-token"])
    path = tmp_path / "token.txt"
    path.write_text(result.stdout)
    token = read_token(path)
    assert f"  token_hash: {hash_of(token)}" in result.stderr.splitlines()
    assert token not in result.stderr


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A file with more than the token is an error that repeats nothing of it."""
    path = tmp_path / "token.txt"
    path.write_text(f"my token:{os.linesep}lamp_secret")
    with pytest.raises(AdminUnavailable) as raised:
        read_token(path)
    assert "lamp_secret" not in str(raised.value)
