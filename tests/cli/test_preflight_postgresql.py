"""The checks of `check-config` and `serve` of a PostgreSQL database."""

import asyncio
from pathlib import Path

import pytest

from lamplighter.cli.check_config import check_config
from lamplighter.cli.running import mark_as_running
from lamplighter.cli.serve import serve
from lamplighter.config import load_config
from lamplighter.database.postgresql import open_url
from lamplighter.errors import ConfigError, LamplighterError, StorageUnavailable
from tests.database.rooms import add_room
from tests.interop.processes import reserved_port
from tests.postgresql import PostgresServer

TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
NEWER = "UPDATE alembic_version SET version_num = '9999'"
KNOWN = 'INSERT INTO visibility VALUES (\'server keys\', \'{"keys": {"ed25519:a": "A"}}\')'
OF_ANOTHER = "INSERT INTO visibility VALUES ('server', 'lamp.test')"


def written(folder: Path, url: str) -> Path:
    """Return the file of a configuration."""
    path = folder / "lamplighter.yaml"
    with reserved_port() as port:
        path.write_text(f"server_name: example.org\nlisten: 127.0.0.1:{port}\ndatabase: {url}\n")
    return path


def refusal(path: Path, kind: type[LamplighterError] = ConfigError) -> str:
    """Return what both commands say."""
    said = set()
    for command in (lambda it: list(check_config(it)), serve):
        with pytest.raises(kind) as caught:
            command(path)
        assert type(caught.value) is kind
        said.add(str(caught.value))
    assert len(said) == 1
    return said.pop()


@pytest.mark.processes
def test_a_good_one(tmp_path: Path, postgres: PostgresServer) -> None:
    """A database that can be used is good, and is left as it was, without tables."""
    url = postgres.empty_database()
    lines = list(check_config(written(tmp_path, url)))
    assert "good, for example.org" in lines[0]
    assert postgres.tell(url, TABLES).strip() == "0"
    assert [it.name for it in tmp_path.iterdir()] == ["lamplighter.yaml"]
    postgres.drop(url)


@pytest.mark.processes
def test_a_database_in_use(tmp_path: Path, postgres_url: str) -> None:
    """A database that a server elsewhere uses is refused, until that server has ended; that of the
    server here is not.
    """
    path = written(tmp_path, postgres_url)
    config = load_config(path)
    config.data_dir.mkdir()

    async def beside() -> str:
        database = open_url(postgres_url)
        await add_room(database, "!a")
        try:
            said = await asyncio.to_thread(refusal, path, StorageUnavailable)
            with mark_as_running(config):
                assert len(await asyncio.to_thread(lambda: list(check_config(path)))) == 2
        finally:
            await database.close()
        return said

    assert asyncio.run(beside()).endswith(": Another Lamplighter uses this database")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("prepare", "user", "problem"),
    [
        (NEWER, "admin", "is at revision '9999'"),
        ("DROP TABLE alembic_version", "secretive:PASSWORD", "make it the owner"),
        (OF_ANOTHER, "admin", "belongs to lamp.test"),
    ],
)
def test_what_is_refused(
    tmp_path: Path,
    postgres: PostgresServer,
    postgres_url: str,
    prepare: str,
    user: str,
    problem: str,
) -> None:
    """A newer version's database, one in which no table can be made, and one of another server are
    refused.
    """
    postgres.tell(postgres_url, prepare)
    user = user.replace("PASSWORD", "wonder%2Fland%405%25")
    said = refusal(written(tmp_path, postgres_url.replace("admin@", f"{user}@")))
    assert said.startswith("server_name: " if prepare == OF_ANOTHER else "database: ")
    assert problem in said
    assert "wonder" not in said


@pytest.mark.processes
def test_a_signing_key_that_is_lost(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    """A node that lacks the key by which other servers know its server is refused."""
    postgres.tell(postgres_url, KNOWN)
    path = written(tmp_path, postgres_url)
    with reserved_port() as port:
        federation = f"federation: {{enabled: true, listen: '127.0.0.1:{port}'}}\n"
        path.write_text(path.read_text() + federation)
    assert "signing.key: is not there, and other servers know this server by ed25519:a A" in (
        refusal(path)
    )


@pytest.mark.processes
def test_an_encoding_that_is_not_unicode(tmp_path: Path, postgres: PostgresServer) -> None:
    """A database that cannot hold every text is refused."""
    url = postgres.empty_database("ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    assert "the encoding of the database is SQL_ASCII" in refusal(written(tmp_path, url))
    postgres.drop(url)


def test_a_wrong_password(tmp_path: Path, postgres: PostgresServer) -> None:
    """A refusal of PostgreSQL is told with the place and the user, without the password."""
    said = refusal(written(tmp_path, postgres.url("postgres", "secretive:hunter2")))
    assert "database: secretive@" in said
    assert "refuses the user or the password" in said
    assert "hunter2" not in said


@pytest.mark.processes
@pytest.mark.parametrize(
    ("url", "trouble"),
    [
        ("postgresql://admin@/x?host=/nowhere", "The connection to PostgreSQL has failed"),
        ("postgresql://admin@127.0.0.1:1/x", "The connection to PostgreSQL has failed"),
        ("BUSY", "PostgreSQL has too many connections already"),
    ],
)
def test_a_database_that_does_not_answer_now(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str, url: str, trouble: str
) -> None:
    """Where another start may help, the error is of another kind: systemd tries again."""
    postgres.tell(postgres_url, "CREATE ROLE busy LOGIN CONNECTION LIMIT 0")
    url = url.replace("BUSY", postgres_url.replace("admin@", "busy@"))
    said = refusal(written(tmp_path, url), StorageUnavailable)
    assert said.startswith("database: ")
    assert trouble in said
    postgres.tell(postgres_url, "DROP ROLE busy")


@pytest.mark.processes
def test_a_database_that_is_not_there(tmp_path: Path, postgres: PostgresServer) -> None:
    """A database that nobody has made is refused."""
    said = refusal(written(tmp_path, postgres.url("nothing")))
    assert "There is no such database in PostgreSQL" in said
