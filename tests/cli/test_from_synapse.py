"""From a homeserver.yaml to a configuration that can be used."""

from pathlib import Path
from typing import Any

import pytest

from lamplighter.cli.check_config import check_config
from lamplighter.cli.from_synapse import config_from_synapse
from lamplighter.config import Config, load_config
from lamplighter.errors import ConfigError
from tests.interop.processes import reserved_port
from tests.logs_as_before import logs_as_before as logs_as_before

SECRET = "hunter2hunter2"

#: As `--generate-config` of Synapse 1.163 arranges it.
GENERATED = f"""
server_name: "example.org"
pid_file: /var/run/homeserver.pid
listeners:
  - bind_addresses: ['::1', 127.0.0.1]
    port: {{port}}
    resources: [{{{{compress: false, names: [client, federation]}}}}]
    tls: false
    type: http
    x_forwarded: true
database: {{{{name: sqlite3, args: {{{{database: /var/lib/homeserver.db}}}}}}}}
log_config: "/etc/example.org.log.config"
media_store_path: /var/lib/media_store
registration_shared_secret: "{SECRET}"
report_stats: false
macaroon_secret_key: "{SECRET}"
form_secret: "{SECRET}"
signing_key_path: "/etc/example.org.signing.key"
trusted_key_servers: [{{{{server_name: "matrix.org"}}}}]
"""
#: With workers, PostgreSQL, a reverse proxy, federation by a list, and modules.
WORKERS = f"""
server_name: example.org
public_baseurl: https://matrix.example.org
serve_server_wellknown: true
listeners:
  - {{{{port: 9093, type: http, resources: [{{{{names: [replication]}}}}]}}}}
  - {{{{port: 9000, type: metrics}}}}
  - {{{{port: 8448, tls: true, type: http, resources: [{{{{names: [client, federation]}}}}]}}}}
  - {{{{path: /run/synapse.sock, type: http, resources: [{{{{names: [client]}}}}]}}}}
  - port: {{port}}
    type: http
    bind_addresses: ['::', '0.0.0.0']
    resources: [{{{{names: [client, federation]}}}}]
database: {{{{name: psycopg2, args: {{{{user: synapse, password: {SECRET}, host: db}}}}}}}}
redis: {{{{enabled: true, password: {SECRET}}}}}
worker_replication_secret: {SECRET}
instance_map: {{{{main: {{{{host: localhost, port: 9093}}}}}}}}
stream_writers: {{{{presence: worker1}}}}
send_federation: false
federation_sender_instances: [worker1]
email: {{{{smtp_host: mail, smtp_pass: {SECRET}}}}}
turn_shared_secret: {SECRET}
rc_login: {{{{address: {{{{per_second: 0.15, burst_count: 5}}}}}}}}
rc_message: {{{{per_second: 1, burst_count: 5}}}}
rc_presence: {{{{per_user: {{{{per_second: 0.05, burst_count: 1}}}}}}}}
federation_domain_whitelist: [partner.example, other.example]
ip_range_whitelist: ['10.0.0.0/8']
federation_verify_certificates: false
exclude_rooms_from_presence: ['!big:example.org']
presence:
  enabled: untracked
  include_offline_users_on_sync: true
  no_such_setting: 5
enable_registration: true
modules:
  - module: moving_router.Router
    config: {{{{shows: 5, api_key: {SECRET}, inner: [{{{{password: {SECRET}, plain: 1}}}}]}}}}
  - module: moving_spam.Checker
    config: {{{{token: {SECRET}}}}}
  - module: mjolnir.Module
    config: {{{{}}}}
  - module: not_installed_anywhere.Router
    config: {{{{secret: {SECRET}}}}}
"""
OLDER = f"""
server_name: example.org
use_presence: true
listeners:
  - {{{{port: {{port}}, bind_address: 127.0.0.1, resources: [{{{{names: [client]}}}}]}}}}
presence:
  presence_router: {{{{module: moving_router.Older, config: {{{{shows: 1}}}}}}}}
password_providers:
  - {{{{module: ldap_auth_provider.Ldap, config: {{{{bind_password: {SECRET}}}}}}}}}
"""
MODULES = """
class Router:
    def __init__(self, config, api):
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )
    async def get_users_for_states(self, states):
        return {}
    async def get_interested_users(self, user_id):
        return set()

class Older(Router):
    def __init__(self, config, module_api):
        pass
"""
SPAM = """
from twisted.internet import defer
class Checker:
    def __init__(self, config, api):
        api.register_spam_checker_callbacks(check_event_for_spam=print)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with modules that can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "moving_router.py").write_text(MODULES)
    (tmp_path / "moving_spam.py").write_text(SPAM)
    return tmp_path


def moved(folder: Path, text: str, server_name: str | None = None) -> tuple[Config, str, list[str]]:
    """Return the configuration that is made, as it is read and written, and what a check says."""
    with reserved_port() as port:
        theirs = folder / "homeserver.yaml"
        theirs.write_text(text.format(port=port))
        written = config_from_synapse(theirs, server_name)
        path = folder / "lamplighter.yaml"
        # What names no address would be checked at the one that everybody has.
        listen = "" if "\nlisten:" in written else f"listen: 127.0.0.1:{port}\n"
        path.write_text(written + listen)
        return load_config(path), written.replace(str(port), "PORT"), list(check_config(path))[1:]


@pytest.mark.parametrize("text", [GENERATED, WORKERS, OLDER], ids=["generated", "workers", "older"])
def test_what_is_made_can_be_used_and_has_no_secret(folder: Path, text: str) -> None:
    """The result passes check-config, has no secret, and names the source of each key."""
    _, written, _ = moved(folder, text)
    assert SECRET not in written
    keys = [number for number, line in enumerate(written.splitlines()) if _is_key(line)]
    lines = written.splitlines()
    assert all(lines[number - 1].startswith("#") for number in keys)


def _is_key(line: str) -> bool:
    return line[:1].isalpha()


def test_a_generated_file(folder: Path) -> None:
    """Of a file as Synapse generates it, name, addresses and the path of the key move."""
    config, written, said = moved(folder, GENERATED)
    assert config.server_name == "example.org"
    assert [it.host for it in config.listen] == ["::1", "127.0.0.1"]
    assert config.federation.enabled is False
    assert config.federation.signing_key == Path("/etc/example.org.signing.key")
    assert "# From signing_key_path. Not enabled:" in written
    assert said == []


def test_a_file_with_workers(folder: Path) -> None:
    """Every key with a counterpart moves; other keys are listed."""
    config, written, said = moved(folder, WORKERS)
    assert [it.host for it in config.listen] == ["::"]
    assert config.public_baseurl == "https://matrix.example.org/"
    assert config.presence.enabled == "untracked"
    assert config.presence.include_offline_users_on_sync
    assert config.routing.exclude_rooms == ("!big:example.org",)
    limits = config.rate_limits
    assert limits.login is not None
    assert (limits.login.per_second, limits.login.burst) == (0.15, 5)
    assert limits.presence is not None
    assert (limits.presence.per_second, limits.presence.burst) == (0.05, 1)
    federation = config.federation
    assert federation.allow_servers == ("partner.example", "other.example")
    assert federation.allow_addresses == ("10.0.0.0/8",)
    assert not federation.verify_certificates
    assert federation.well_known_server == "example.org:443"
    assert config.registration == "closed"
    assert config.modules_not_of_presence == "skip"
    assert [it.module for it in config.modules] == [
        "moving_router.Router",
        "moving_spam.Checker",
        "mjolnir.Module",
    ]
    fill_in = "FILL IN: this is not copied from homeserver.yaml"
    inner: list[Any] = [{"password": fill_in, "plain": 1}]
    assert config.modules[0].config == {"shows": 5, "api_key": fill_in, "inner": inner}
    assert "# Not installed here, and so not copied: not_installed_anywhere.Router." in written
    assert said == [
        "modules[0]: moving_router.Router can be loaded",
        "modules[1]: moving_spam.Checker is not of presence: it is skipped, and stays in Synapse",
        "modules[2]: mjolnir.Module is not of presence: it is skipped, and stays in Synapse",
    ]


def test_the_older_form(folder: Path) -> None:
    """`presence_router` moves as it is, and `use_presence` under its newer name."""
    config, _, said = moved(folder, OLDER)
    assert config.presence.presence_router is not None
    assert config.presence.presence_router.module == "moving_router.Older"
    assert config.presence.enabled == "true"
    assert said == ["presence.presence_router: moving_router.Older can be loaded"]


def test_debians_arrangement(folder: Path) -> None:
    """The server name is found in conf.d beside the file, as Debian's package writes it."""
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "server_name.yaml").write_text("server_name: debian.example\n")
    (folder / "conf.d" / "report_stats.yaml").write_text("report_stats: false\n")
    config, _, _ = moved(folder, GENERATED.replace('server_name: "example.org"', ""))
    assert config.server_name == "debian.example"


def test_a_file_without_a_name(folder: Path) -> None:
    """Where no file has a server name, the command line gives it."""
    text = "pid_file: x\n"
    config, written, _ = moved(folder, text, "given.example")
    assert config.server_name == "given.example"
    assert "# From --server-name." in written
    with pytest.raises(ConfigError, match="server_name: missing; give it by --server-name"):
        moved(folder, text)


@pytest.mark.parametrize(
    "line",
    [
        "public_baseurl: matrix.example.org",
        "exclude_rooms_from_presence: ['#no:room']",
        "rc_login: {{address: {{per_second: 0, burst_count: 0}}}}",
        "listeners: [{{port: 99999, type: http, resources: [{{names: [client]}}]}}]",
        "listeners: 5",
        "modules: {{a: 1}}",
        "modules: [5, {{module: 7}}, {{}}]",
        "presence: [1]",
        "presence: {{enabled: sometimes, presence_router: 5}}",
        "signing_key_path: [5]",
        "tls_certificate_path: cert.pem",
        "ip_range_whitelist: [nowhere]",
    ],
)
def test_values_that_cannot_be_used(folder: Path, line: str) -> None:
    """A value that our configuration does not allow is left out, and the rest moves."""
    config, _, _ = moved(folder, f"server_name: example.org\ndatabase: {{{{}}}}\n{line}\n")
    assert config.server_name == "example.org"


def test_what_is_no_homeserver_yaml(folder: Path) -> None:
    """A missing or wrong file is an error that names the file."""
    path = folder / "homeserver.yaml"
    with pytest.raises(ConfigError, match="cannot be read"):
        config_from_synapse(path)
    path.write_text("- a list\n")
    with pytest.raises(ConfigError, match="not a configuration of Synapse"):
        config_from_synapse(path)
