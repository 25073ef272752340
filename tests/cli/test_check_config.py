"""What check-config finds out about modules."""

from pathlib import Path

import pytest

from lamplighter.cli.check_config import check_config
from lamplighter.errors import ConfigError

MODULE = """
class Router:
    @staticmethod
    def parse_config(config):
        if "room" not in config:
            raise ValueError("a room is needed")
        return config

    def __init__(self, config, api):
        raise AssertionError("started")
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a place for a configuration, beside a module that can be imported."""
    (tmp_path / "a_module_to_check.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "lamplighter.yaml"


def _write(config: Path, module: str, module_config: str) -> None:
    config.write_text(
        f"server_name: example.org\nmodules: [{{module: {module}, config: {module_config}}}]\n"
    )


def test_good_modules_are_named(config: Path) -> None:
    """Each module that can be loaded has a line; none is started."""
    _write(config, "a_module_to_check.Router", "{room: x}")
    assert list(check_config(config)) == [
        f"{config}: good, for example.org on 127.0.0.1:8008",
        "modules[0]: a_module_to_check.Router can be loaded",
    ]


@pytest.mark.parametrize(
    ("module", "place"),
    [
        ("a_module_to_check.Router", r"modules\[0\]\.config"),
        ("a_module_to_check.Rooter", r"modules\[0\]\.module"),
        ("no_such_package.Router", r"modules\[0\]\.module"),
    ],
)
def test_bad_modules_are_errors(config: Path, module: str, place: str) -> None:
    """A module that cannot be found, or refuses its configuration, is named by its key."""
    _write(config, module, "{}")
    with pytest.raises(ConfigError, match=f"^{place}: "):
        list(check_config(config))
