"""The units for systemd."""

import configparser
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from lamplighter.app import MOST_TO_STOP
from lamplighter.cli.ending import MOST_TO_END
from lamplighter.web.http.server import MOST_TO_ANSWER

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
UNIT: Final = (DEPLOY / "lamplighter.service").read_text(encoding="utf-8")
INSTALLED: Final = "/usr/local/lib/lamplighter/bin/lamplighter"
#: Of ten; systemd calls less than three "OK".
MOST_EXPOSED: Final = 15

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


@pytest.fixture(params=["lamplighter.service", "nodes/lamplighter@.service"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each unit with the command of this checkout, because the units' command is not installed."""
    source = DEPLOY / str(request.param)
    path = tmp_path / source.name.replace("@", "@a")
    path.write_text(
        source.read_text(encoding="utf-8").replace(
            INSTALLED, str(Path(sys.executable).with_name("lamplighter"))
        )
    )
    return path


def _analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_systemd
def test_systemd_knows_the_settings(unit: Path) -> None:
    """Systemd knows every setting of the unit."""
    done = _analyzed("verify", "--man=no", str(unit))

    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_it_is_hardened(unit: Path) -> None:
    """By systemd's own analysis the service can reach little of the machine."""
    done = _analyzed("security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(unit))

    assert done.returncode == 0, done.stdout


def test_it_has_time_to_stop() -> None:
    """A server ends, by its own last resort at the latest, before systemd would kill it."""
    seconds = int(_service()["TimeoutStopSec"].removesuffix("s"))
    assert timedelta(seconds=seconds) > MOST_TO_END > MOST_TO_ANSWER + MOST_TO_STOP


def test_the_user_is_made() -> None:
    """The sysusers file makes the unit's user, whose home is the state directory."""
    line = (DEPLOY / "lamplighter.sysusers").read_text(encoding="utf-8").splitlines()[-1]
    _, user, *_, home = line.split()

    service = _service()
    assert service["User"] == service["Group"] == user
    assert service["WorkingDirectory"] == home == f"/var/lib/{service['StateDirectory']}"
    assert service["ExecStart"].startswith(f"{INSTALLED} serve ")


def test_what_cannot_be_used_is_not_tried_again(tmp_path: Path) -> None:
    """Systemd does not restart a server that exits because of its configuration."""
    config = tmp_path / "lamplighter.yaml"
    config.write_text("server_name: example.org\npresense: {}\n")
    command = [sys.executable, "-m", "lamplighter", "serve", "-c", str(config)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert str(done.returncode) == _service()["RestartPreventExitStatus"]
    assert "presense" in done.stderr


def test_what_comes_later_is_awaited(tmp_path: Path) -> None:
    """Systemd restarts a server whose PostgreSQL does not answer yet, however long that takes."""
    config = tmp_path / "lamplighter.yaml"
    config.write_text(
        f"server_name: example.org\ndata_dir: {tmp_path}\n"
        f"database: postgresql://lamplighter@/lamplighter?host={tmp_path}\n"
    )
    command = [sys.executable, "-m", "lamplighter", "serve", "-c", str(config)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "The connection to PostgreSQL has failed" in done.stderr
    assert done.returncode == 1
    assert _service()["Restart"] == "on-failure"
    for unit in ("lamplighter.service", "nodes/lamplighter@.service"):
        assert "\nStartLimitIntervalSec=0\n" in (DEPLOY / unit).read_text(encoding="utf-8")


def _service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # keys as they are written
    parser.read_string(UNIT)
    return parser["Service"]
