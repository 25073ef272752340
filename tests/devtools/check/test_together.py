"""Several modules of one configuration, asked together."""

from pathlib import Path
from typing import Any

import pytest

from lamplighter.devtools.check import (
    Callback,
    Finding,
    JointReport,
    Kind,
    Limits,
    check_together,
    subjects_in_file,
)
from lamplighter.errors import ConfigError
from lamplighter.modules.api import ModuleApi
from lamplighter.presence.state import UserPresenceState
from tests.cli.test_main import Run, run

__all__ = ["run"]  # the fixture

HERE = __name__


class Shows:
    """Shows bob to alice with fields that it is told to change."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self._changes = config
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, updates: list[UserPresenceState]) -> object:
        bobs = (it for it in updates if it.user_id == "@bob:demo")
        return {"@alice:demo": {it.copy_and_replace(**self._changes) for it in bobs}}

    async def get_interested_users(self, user_id: str) -> object:
        return {"@bob:demo"} if user_id == "@alice:demo" else set()


class ShowsToo(Shows):
    """Another module of the kind."""


class Fails(Shows):
    """Cannot be asked."""

    async def get_users_for_states(self, updates: list[UserPresenceState]) -> object:
        raise KeyError(updates[0].user_id)


class Checker:
    """A module that is not of presence; its package is known by name."""


def entry(name: str, changes: str = "{}", more: str = "") -> str:
    """Return a module as a configuration has it."""
    return f"{{module: {HERE}.{name}, config: {changes}{more}}}"


def checked(tmp_path: Path, *entries: str) -> JointReport:
    """Return what the check of a configuration with these modules says."""
    file = tmp_path / "lamplighter.yaml"
    file.write_text(f"server_name: demo\nmodules: [{', '.join(entries)}]\n")
    return check_together(subjects_in_file(file), limits=Limits(worlds=6))


@pytest.mark.parametrize(
    "others",
    [
        [entry("ShowsToo")],
        [entry("ShowsToo", "{status_msg: null}")],
        [entry("ShowsToo", "{currently_active: false}", ", shadow: true")],
        [],
    ],
    ids=["passes-on", "alters-likewise", "in-the-shadow", "alone"],
)
def test_modules_that_agree(tmp_path: Path, others: list[str]) -> None:
    """Only two modules that count, and alter the same in different ways, are a conflict."""
    report = checked(tmp_path, entry("Shows", "{status_msg: null}"), *others)
    assert (list(report.conflicts), report.is_good) == ([], True)


def test_a_conflict(tmp_path: Path) -> None:
    """A conflict names the modules, the viewer, what each module shows, and which one decides."""
    report = checked(
        tmp_path,
        entry("Shows", "{status_msg: away}"),
        entry("ShowsToo", "{currently_active: false, status_msg: null}"),
    )
    assert [it.is_good for it in report.reports] == [True, True]
    assert report.conflicts == [
        Finding(
            Kind.CONFLICT,
            "Shows and ShowsToo alter the presence of @bob:demo for @alice:demo in different ways: "
            "ShowsToo decides, which stands later in the configuration",
            Callback.STATES,
            None,
            (
                "asked about: @bob:demo online “in a meeting”",
                "Shows shows @alice:demo: status_msg='away'",
                "ShowsToo shows @alice:demo: status_msg=None, currently_active=False",
            ),
        )
    ]
    assert not report.is_good


def test_modules_that_cannot_be_asked(tmp_path: Path) -> None:
    """A faulty module is checked alone only, and a module of another kind not at all."""
    report = checked(
        tmp_path,
        entry("Shows", "{status_msg: a}"),
        entry("Fails"),
        "{module: ldap_auth_provider.LdapAuthProvider}",
    )
    assert [it.module for it in report.reports] == [f"{HERE}.Shows", f"{HERE}.Fails"]
    assert (report.unsound, report.left_out) == (["Fails"], ["ldap_auth_provider.LdapAuthProvider"])
    assert [it.kind for it in report.reports[1].findings] == [Kind.RAISES]
    assert list(report.conflicts) == []


def test_the_command(run: Run, tmp_path: Path) -> None:
    """Without a module, all modules of the configuration are checked; with several, these."""
    file = tmp_path / "lamplighter.yaml"
    entries = entry("Shows", "{status_msg: a}"), entry("ShowsToo", "{status_msg: b}")
    file.write_text(f"server_name: demo\nmodules: [{', '.join(entries)}]\n")
    ran = run("module", "check", "-c", file)
    assert (ran.exit_code, ran.err) == (1, "")
    assert "Shows and ShowsToo alter the presence of @bob:demo" in " ".join(ran.out.split())
    named = subjects_in_file(file, [f"{HERE}.ShowsToo"])
    assert [it.entry.path for it in named] == [f"{HERE}.ShowsToo"]


@pytest.mark.parametrize(
    ("paths", "text", "error"),
    [
        ((), "server_name: demo", "loads no modules"),
        ((), "routes: {}", "loads no modules"),
        (("a.B", "c.D"), f"modules: [{entry('Shows')}]", "does not load a.B, c.D"),
    ],
)
def test_nothing_to_check(tmp_path: Path, paths: tuple[str, ...], text: str, error: str) -> None:
    """A configuration that does not load the modules is an error."""
    file = tmp_path / "lamplighter.yaml"
    file.write_text(f"{text}\n")
    with pytest.raises(ConfigError, match=error):
        subjects_in_file(file, paths)


def test_no_module_and_no_configuration(run: Run) -> None:
    """A command without a module and without a configuration is an error."""
    ran = run("module", "check")
    assert (ran.exit_code, ran.out) == (2, "")
    assert ran.err.startswith("error: name a module, or give a configuration")
