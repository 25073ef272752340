"""The statements that prepare a PostgreSQL server for Lamplighter, on a real one."""

from pathlib import Path

from lamplighter.cli.check_config import check_config
from lamplighter.cli.users import register_user
from tests.docs.commands import ROOT
from tests.interop.processes import reserved_port
from tests.postgresql import PostgresServer


def test_the_database_can_be_used(tmp_path: Path, postgres: PostgresServer) -> None:
    """With that user and database a configuration is good, and the tables can be made."""
    text = (ROOT / "deploy" / "postgresql" / "lamplighter.sql").read_text()
    for statement in text.split(";\n"):
        postgres.tell("postgres", statement)
    url = postgres.url("lamplighter", "lamplighter:secret")
    path = tmp_path / "lamplighter.yaml"
    with reserved_port() as port:
        path.write_text(f"server_name: example.org\nlisten: 127.0.0.1:{port}\ndatabase: {url}\n")
        assert "good" in next(iter(check_config(path)))
    assert register_user(path, "alice", "secret") == "@alice:example.org"
    postgres.drop(url)
    postgres.tell("postgres", "DROP ROLE lamplighter")
