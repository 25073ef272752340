"""The `lamplighter` command: exit codes, and errors in one line."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lamplighter import __version__
from lamplighter.cli.admin_client import read_token
from lamplighter.cli.main import app, main
from lamplighter.config import load_config, parse_config_text
from lamplighter.errors import ModuleError, StorageUnavailable
from lamplighter.web.admin.auth import hash_of
from tests.cli.answering import answering
from tests.cli.test_visibility import NO, YES


@dataclass(frozen=True)
class Ran:
    exit_code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command with these arguments."""

    def run(*arguments: str | Path, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["lamplighter", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as exited:
            main()
        written = capsys.readouterr()
        code = exited.value.code
        return Ran(code if isinstance(code, int) else 0, written.out, written.err)

    return run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write the smallest configuration."""
    path = tmp_path / "lamplighter.yaml"
    path.write_text("server_name: example.org\n")
    return path


def test_version(run: Run) -> None:
    """--version prints the version of the package."""
    assert run("--version") == Ran(0, f"lamplighter {__version__}\n", "")


def test_commands() -> None:
    """These are the commands, and there are no others."""
    assert sorted(c.name or c.callback.__name__ for c in app.registered_commands if c.callback) == [
        "admin-token",
        "backup",
        "check-config",
        "demo",
        "explain",
        "generate-config",
        "register-user",
        "replay",
        "seen-by",
        "sees",
        "serve",
    ]


def test_bad_configuration_exits_2(run: Run, config: Path) -> None:
    """An error of the configuration is one line on the standard error, and exit code 2."""
    config.write_text("server_name: example.org\npresence: {busy: maybe}\n")
    assert run("check-config", "-c", config) == Ran(
        2, "", f'error: {config}: presence.busy: "maybe" is not allowed; give true or false\n'
    )


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(ModuleError("module M cannot be started"), 2), (StorageUnavailable("the disk is full"), 1)],
)
def test_exit_codes(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, exit_code: int
) -> None:
    """Faults of modules and operators exit with 2, other errors with 1, without a traceback."""

    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr("lamplighter.cli.check_config.check_config", fail)
    assert run("check-config") == Ran(exit_code, "", f"error: {error}\n")


def test_generate_config(run: Run, tmp_path: Path) -> None:
    """A configuration for the server of that name is written with -o, and printed without."""
    path = tmp_path / "new.yaml"
    ran = run("generate-config", "--server-name", "[::1]:8448", "-o", path)
    assert ran == Ran(0, "", f"Wrote {path}\n")
    assert load_config(path).server_name == "[::1]:8448"
    assert run("generate-config", "--server-name", "[::1]:8448") == Ran(0, path.read_text(), "")


def test_check_config(run: Run, config: Path) -> None:
    """For a good configuration, check-config prints its server name and addresses."""
    ran = run("check-config", "-c", config)
    assert ran == Ran(0, f"{config}: good, for example.org on 127.0.0.1:8008\n", "")


def test_register_user(run: Run, config: Path) -> None:
    """--password-stdin reads one line, so that no other process can see the password; a name that
    is taken is an error in one line, and exit code 1.
    """
    first = run("register-user", "-c", config, "bob", "--password-stdin", stdin="sesame\nmore\n")
    again = run("register-user", "-c", config, "@bob:example.org", "--password", "b")
    assert first == Ran(0, "Registered @bob:example.org\n", "")
    assert again == Ran(1, "", "error: @bob:example.org is taken\n")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["Bob", "--password", "a"], "'Bob' is not a localpart (a-z, 0-9 and . _ = - / +)"),
        (["@bob:other", "--password", "a"], "@bob:other is not a user of example.org"),
        (["bob", "--password-stdin"], "the password is empty"),
    ],
)
def test_register_user_refuses(run: Run, config: Path, arguments: list[str], error: str) -> None:
    """Names that cannot be, users of other servers and empty passwords are refused."""
    assert run("register-user", "-c", config, *arguments) == Ran(1, "", f"error: {error}\n")


def test_one_password_is_enough(run: Run, config: Path) -> None:
    """--password and --password-stdin exclude each other."""
    ran = run("register-user", "-c", config, "bob", "--password", "a", "--password-stdin")
    assert ran.exit_code == 2
    assert "not both" in ran.err


def test_no_answer_is_not_a_no(run: Run, tmp_path: Path) -> None:
    """Where a running server does not answer, the exit code is 2, and one line says why."""
    for command in (("explain", "@a:demo", "@b:demo"), ("sees", "@a:demo"), ("seen-by", "@a:demo")):
        ran = run(*command, "--url", "http://127.0.0.1:1", "--token-file", tmp_path / "no")
        assert (ran.exit_code, ran.out) == (2, "")
        assert ran.err == f"error: {tmp_path}/no: cannot be read: No such file or directory\n"


def test_yes_and_no(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`explain` ends with 0 for yes and 1 for no."""
    monkeypatch.setenv("LAMPLIGHTER_ADMIN_TOKEN", "t")
    codes = []
    with answering() as server:
        for entry in (YES, NO):
            server.will_answer({"sight": entry, "hints": []})
            codes.append(run("explain", "@alice:demo", "@bob:demo", "--url", server.url).exit_code)
    assert codes == [0, 1]


def test_an_admin_token(run: Run, tmp_path: Path) -> None:
    """`admin-token > file` writes a new token alone, as `--token-file file` reads it; its hash for
    the configuration goes to the screen.
    """
    path, hashes = tmp_path / "token.txt", set()
    for _ in range(2):
        ran = run("admin-token")
        path.write_text(ran.out)
        token = read_token(path)
        config = "\n".join(["server_name: a", *ran.err.splitlines()[-2:]])
        assert parse_config_text(config, path).admin.token_hash == hash_of(token)
        assert token not in ran.err
        hashes.add(hash_of(token))
    assert len(hashes) == 2
