"""The keys in which two configurations differ."""

from pathlib import Path

import pytest

from lamplighter.config import Config, parse_config_text
from lamplighter.config.differences import changed_keys


def config(text: str) -> Config:
    """Return a configuration."""
    return parse_config_text(f"server_name: demo\n{text}", Path("x.yaml"))


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        ("", "module_timeout: 5s", []),
        ("", "module_timeout: 6s", ["module_timeout"]),
        ("listen: a:1", "listen: [a:1, a:2]\nlog: {level: debug}", ["listen", "log.level"]),
        ("presence: {busy: true}", "presence: {idle_timeout: 9m}",
         ["presence.idle_timeout", "presence.busy"]),
        ("rate_limits: off", "", [
            "rate_limits.presence", "rate_limits.login", "rate_limits.registration",
            "rate_limits.rooms",
        ]),
        ("rate_limits: {login: {per_second: 1, burst: 1}}",
         "rate_limits: {login: {per_second: 1, burst: 2}}", ["rate_limits.login.burst"]),
        ("modules: [{module: a.B}]", "modules: [{module: a.B, config: {c: 1}}]", ["modules"]),
    ],
)  # fmt: skip
def test_changed_keys(before: str, after: str, keys: list[str]) -> None:
    """The keys with different values are named in full, in the order of the configuration."""
    assert changed_keys(config(before), config(after)) == keys
