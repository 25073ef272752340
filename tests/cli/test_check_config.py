"""The findings of check-config about modules."""

from pathlib import Path

import pytest

from lamplighter.cli.check_config import check_config
from lamplighter.errors import ConfigError, NotOfPresence
from tests.logs_as_before import logs_as_before as logs_as_before

#: A port that the machine gives only to programs that ask for it.
PORT = 18_008

MODULE = """
class Router:
    @staticmethod
    def parse_config(config):
        if "room" not in config:
            raise ValueError("a room is needed")
        return config

    def __init__(self, config, api):
        self.api = api
        api.register_presence_router_callbacks(
            get_users_for_states=self.states, get_interested_users=self.interest
        )
        api.looping_background_call(self.started, 1)
        api.register_account_data_callbacks(on_account_data_updated=self.started)

    async def started(self):
        raise AssertionError("started")

    async def states(self, updates):
        return {}

    async def interest(self, user_id):
        return set()
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a place for a configuration, beside a module that can be imported."""
    (tmp_path / "a_module_to_check.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "lamplighter.yaml"


def _write(config: Path, module: str, module_config: str) -> None:
    config.write_text(
        f"server_name: example.org\nlisten: 127.0.0.1:{PORT}\n"
        f"modules: [{{module: {module}, config: {module_config}}}]\n"
    )


def test_good_modules_are_named(config: Path) -> None:
    """Each module that can be loaded has lines; nothing of it is started."""
    _write(config, "a_module_to_check.Router", "{room: x}")
    assert list(check_config(config)) == [
        f"{config}: good, for example.org on 127.0.0.1:{PORT}",
        "modules[0]: a_module_to_check.Router can be loaded",
        "modules[0]: its callbacks for account data stay in Synapse",
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


def test_modules_that_stay_in_synapse(config: Path) -> None:
    """A module that is not of presence has a line, where the operator lets it be skipped."""
    (config.parent / "only_for_spam.py").write_text(
        "class Checker:\n"
        "    def __init__(self, config, api):\n"
        "        api.register_spam_checker_callbacks(check_event_for_spam=print)\n"
    )
    _write(config, "only_for_spam.Checker", "{}")
    with pytest.raises(
        NotOfPresence, match=r"^modules\[0\]\.module: 'only_for_spam\.Checker' is not"
    ):
        list(check_config(config))
    config.write_text(config.read_text() + "modules_not_of_presence: skip\n")
    assert list(check_config(config))[1:] == [
        "modules[0]: only_for_spam.Checker is not of presence: it is skipped, and stays in Synapse"
    ]
