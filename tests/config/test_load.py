"""Reading a configuration: what is accepted, and the exact text of each error."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from lamplighter.config import (
    Address,
    Config,
    ModuleEntry,
    PresenceMode,
    Rate,
    RateLimits,
    load_config,
    parse_config_text,
)
from lamplighter.errors import ConfigError
from lamplighter.ids import RoomId, ServerName

WHERE = Path("/etc/lamplighter/lamplighter.yaml")

SECTIONS = (
    "server_name, listen, homeserver, data_dir, database, cluster, trusted_proxies, "
    "public_baseurl, registration, presence, routing, rate_limits, federation, module_timeout, "
    "modules_not_of_presence, modules, admin, log"
)
DURATION = "a duration longer than 0, such as 500ms, 30s, 5m, 1h or 1d, or a number of milliseconds"
ADDRESS = "host:port or [IPv6 address]:port, with a port from 1 to 65535"
MODULE_PATH = "the dotted path of a class, such as my_package.MyPresenceRouter"

# fmt: off
BAD: list[tuple[str, str]] = [
    ("server_name: 5",
     "server_name: 5 is not allowed; give the host or host:port that user IDs end in"),
    ("server_name: a b",
     'server_name: "a b" is not allowed; give a host or host:port, such as example.org'),
    ("listen: 127.0.0.1:80080",
     f'listen: "127.0.0.1:80080" is not allowed; give {ADDRESS}'),
    ("listen: 8008",
     "listen: 8008 is not allowed; give host:port, or a list of them"),
    ("listen: example.org",
     f'listen: "example.org" is not allowed; give {ADDRESS}'),
    ("listen: []",
     "listen: [] is not allowed; give host:port, or a list of them"),
    ("listen: ['a:1', 'a:70000']",
     f'listen[1]: "a:70000" is not allowed; give {ADDRESS}'),
    ("listen: ['[::g]:1']",
     f'listen[0]: "[::g]:1" is not allowed; give {ADDRESS}'),
    ("listen: ['[::1]:8008', '[0:0::1]:8008']",
     'listen[1]: "[::1]:8008" is there twice; give it once'),
    ("trusted_proxies: [10.0.0.1/8]",
     "trusted_proxies[0]: \"10.0.0.1/8\" is not allowed; give a network such as 10.0.0.0/8"),
    ("trusted_proxies: nginx",
     "trusted_proxies: \"nginx\" is not allowed; "
     "give a list of addresses or networks, such as 10.0.0.0/8 or ::1/128"),
    ("data_dir: 5",
     "data_dir: 5 is not allowed; give the path of a directory"),
    ("data_dir: ''",
     'data_dir: "" is not allowed; give the path of a directory'),
    ("public_baseurl: example.org",
     'public_baseurl: "example.org" is not allowed; '
     "give a URL that begins with https:// or http://"),
    ("public_baseurl: 'https://[example'",
     'public_baseurl: "https://[example" is not allowed; '
     "give a URL that begins with https:// or http://"),
    ("registration: maybe",
     'registration: "maybe" is not allowed; give closed or open'),
    ("admin: {token_hash: secret}",
     "admin.token_hash: the value, which is not shown, is not allowed; "
     "give the hash that `lamplighter admin-token` prints"),
    ("presence: maybe",
     'presence: "maybe" is not allowed; give a mapping with the keys enabled, '
     "last_active_granularity, sync_online_timeout, idle_timeout, busy, busy_timeout, "
     "federation_ping, federation_timeout, include_offline_users_on_sync, sync_is_activity, "
     "presence_router"),
    ("presence: {enabled: maybe}",
     'presence.enabled: "maybe" is not allowed; give true, false or untracked'),
    ("presence: {busy: 1}",
     "presence.busy: 1 is not allowed; give true or false"),
    ("presence: {sync_is_activity: yes}",
     "presence.sync_is_activity: true is not allowed; give explicit, always or never"),
    ("presence: {idle_timeout: soon}",
     f'presence.idle_timeout: "soon" is not allowed; give {DURATION}'),
    ("presence: {idle_timeout: -5m}",
     f'presence.idle_timeout: "-5m" is not allowed; give {DURATION}'),
    ("presence: {idle_timeout: 0}",
     f"presence.idle_timeout: 0 is not allowed; give {DURATION}"),
    ("presence: {idle_timeout: true}",
     f"presence.idle_timeout: true is not allowed; give {DURATION}"),
    ("presence: {idle_timeout: 1.5}",
     f"presence.idle_timeout: 1.5 is not allowed; give {DURATION}"),
    ("presence: {idle_timeout: 999999999999999d}",
     f'presence.idle_timeout: "999999999999999d" is not allowed; give {DURATION}'),
    ("presence: {idle_timeout: 60s}",
     "presence.idle_timeout: 1m is not allowed; "
     "give more than presence.last_active_granularity, which is 1m"),
    ("presence: {last_active_granularity: 6m}",
     "presence.idle_timeout: 5m is not allowed; "
     "give more than presence.last_active_granularity, which is 6m"),
    ("presence: {federation_ping: 1h}",
     "presence.federation_timeout: 30m is not allowed; "
     "give more than presence.federation_ping, which is 1h"),
    ("presence: {idle_timeot: 5m}",
     "presence.idle_timeot: unknown key; did you mean idle_timeout?"),
    ("presence: {1: 5m}",
     "presence: every key must be text; give a mapping with the keys enabled, "
     "last_active_granularity, sync_online_timeout, idle_timeout, busy, busy_timeout, "
     "federation_ping, federation_timeout, include_offline_users_on_sync, sync_is_activity, "
     "presence_router"),
    ("presence: {presence_router: {config: {}}}",
     f"presence.presence_router.module: missing; give {MODULE_PATH}"),
    ("routing: {shared_rooms: 'no'}",
     'routing.shared_rooms: "no" is not allowed; give true or false'),
    ("routing: {exclude_rooms: lobby}",
     'routing.exclude_rooms: "lobby" is not allowed; give a list of room IDs'),
    ("routing: {exclude_rooms: ['!a:b', '#c:d']}",
     'routing.exclude_rooms[1]: "#c:d" is not allowed; '
     "give a room ID, such as !opaque:example.org"),
    ("routing: {largest_room: 1}",
     "routing.largest_room: 1 is not allowed; give a whole number of at least 2"),
    ("routing: {rooms: small}",
     'routing.rooms: "small" is not allowed; give all or direct'),
    ("rate_limits: on",
     "rate_limits: true is not allowed; "
     "give a mapping with the keys presence, login, registration, rooms"),
    ("rate_limits: {login: 5}",
     "rate_limits.login: 5 is not allowed; give a mapping with the keys per_second, burst"),
    ("routing: {record_size: 64}",
     "routing.record_size: 64 is not allowed; "
     "give a size larger than 0, such as 500KB, 64MB or 1GB"),
    ("routing: {record_files: 0}",
     "routing.record_files: 0 is not allowed; give a whole number from 1 to 1000"),
    ("modules: [{module: a.B, shadow: maybe}]",
     'modules[0].shadow: "maybe" is not allowed; give true or false'),
    ("rate_limits: {login: {per_second: 0, burst: 1}}",
     "rate_limits.login.per_second: 0 is not allowed; give a number above 0 and at most 1000000"),
    ("rate_limits: {login: {per_second: .inf, burst: 1}}",
     "rate_limits.login.per_second: null is not allowed; "
     "give a number above 0 and at most 1000000"),
    ("rate_limits: {login: {per_second: 1}}",
     "rate_limits.login.burst: missing; give a whole number from 1 to 1000000"),
    ("module_timeout: 5 s later",
     f'module_timeout: "5 s later" is not allowed; give {DURATION}'),
    ("modules: my_package.MyPresenceRouter",
     'modules: "my_package.MyPresenceRouter" is not allowed; '
     "give a list of modules, each with module: and config:"),
    ("modules: [my_package.MyPresenceRouter]",
     'modules[0]: "my_package.MyPresenceRouter" is not allowed; '
     "give a mapping with the keys module, config, shadow"),
    ("modules: [{module: a.B}, {module: B}]",
     f'modules[1].module: "B" is not allowed; give {MODULE_PATH}'),
    ("modules: [{module: a.B, config: 5}]",
     "modules[0].config: 5 is not allowed; give a mapping"),
    ("modules: [{module: a.B, conf: {}}]",
     "modules[0].conf: unknown key; did you mean config?"),
    ("log: {level: loud}",
     'log.level: "loud" is not allowed; give debug, info, warning or error'),
    ("log: {format: xml}",
     'log.format: "xml" is not allowed; give auto, console or json'),
    ("macaroon_secret_key: hunter2",
     "macaroon_secret_key: a key of Synapse, which stays in Synapse; remove it here"),
    ("no_such_key: hunter2",
     f"no_such_key: unknown key; allowed are {SECTIONS}"),
    ('"two\\nlines": 1',
     f'"two\\nlines": unknown key; allowed are {SECTIONS}'),
    ("5: 1",
     f"every key must be text; give a mapping with the keys {SECTIONS}"),
    (f"registration: {'x' * 80}",
     f'registration: "{"x" * 56}... is not allowed; give closed or open'),
    ("registration: open\nregistration: closed",
     'line 3, column 1: not YAML: the key "registration" is there twice, first in line 2'),
    ("presence: [",
     "line 2, column 12: not YAML: expected the node content, but found '<stream end>'"),
    ("presence: {enabled: @}",
     "line 2, column 21: not YAML: found character '@' that cannot start any token"),
    ("listen: !!python/name:os.system",
     "line 2, column 9: not YAML: ! begins an unknown type; put the value in quotes"),
    ("data_dir: 2020-13-01",
     "not YAML: month must be in 1..12"),
    ("data_dir: \x00",
     "not YAML: unacceptable character #x0000: special characters are not allowed"),
    ("listen: " + "[" * 5000,
     "not YAML: nested too deeply"),
]
# fmt: on


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_configuration(text: str, message: str) -> None:
    """An error is one line with the file, the key, the value and what is allowed."""
    whole = text if text.startswith("server_name") else f"server_name: example.org\n{text}"
    with pytest.raises(ConfigError) as raised:
        parse_config_text(whole, WHERE)
    assert str(raised.value) == f"{WHERE}: {message}"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "listen: 127.0.0.1:8008"])
def test_without_server_name(text: str) -> None:
    """The server name is the only key without a default."""
    with pytest.raises(ConfigError) as raised:
        parse_config_text(text, WHERE)
    assert (
        str(raised.value)
        == f"{WHERE}: server_name: missing; give the host or host:port that user IDs end in"
    )


def test_not_a_mapping() -> None:
    """A YAML file that is not a mapping is refused."""
    with pytest.raises(ConfigError) as raised:
        parse_config_text("- a\n- b", WHERE)
    assert (
        str(raised.value)
        == f'{WHERE}: ["a","b"] is not allowed; give a mapping with the keys {SECTIONS}'
    )


def test_missing_file(tmp_path: Path) -> None:
    """A file that cannot be opened is a configuration error that names it."""
    path = tmp_path / "absent.yaml"
    with pytest.raises(ConfigError) as raised:
        load_config(path)
    assert str(raised.value) == f"{path}: cannot be read: No such file or directory"


def test_not_utf8(tmp_path: Path) -> None:
    """A file in another encoding is refused, with no traceback."""
    path = tmp_path / "latin1.yaml"
    path.write_bytes(b"server_name: caf\xe9")
    with pytest.raises(ConfigError) as raised:
        load_config(path)
    assert str(raised.value) == f"{path}: not UTF-8 text"


def test_data_dir_is_relative_to_the_file(tmp_path: Path) -> None:
    """A relative data_dir starts at the directory of the configuration file."""
    path = tmp_path / "lamplighter.yaml"
    path.write_text("server_name: example.org\ndata_dir: ./state\n")
    assert load_config(path).data_dir == tmp_path / "state"


def test_default_data_dir_is_beside_the_file() -> None:
    """The default of data_dir is `data`, beside the configuration file."""
    assert parse_config_text("server_name: a", WHERE).data_dir == WHERE.parent / "data"


def test_absolute_data_dir() -> None:
    """An absolute data_dir stays as it is."""
    assert parse_config_text("{server_name: a, data_dir: /srv/x}", WHERE).data_dir == Path("/srv/x")


@pytest.mark.parametrize("written", ["https://a.example/m", "https://a.example/m/"])
def test_public_baseurl_ends_in_a_slash(written: str) -> None:
    """public_baseurl always ends in one slash, so that modules can append paths."""
    config = parse_config_text(f"{{server_name: a, public_baseurl: '{written}'}}", WHERE)
    assert config.public_baseurl == "https://a.example/m/"


def test_every_key_at_once() -> None:
    """Each key is read with its type."""
    config = parse_config_text(
        """
server_name: example.org:8448
listen: ["127.0.0.1:8008", "[::1]:8008"]
data_dir: /srv/lamplighter
public_baseurl: https://presence.example.org/
registration: open
presence: {enabled: untracked, last_active_granularity: 1m, sync_online_timeout: 30000,
           idle_timeout: "300000", busy: true, busy_timeout: 1d, federation_ping: 20m,
           federation_timeout: 1h, include_offline_users_on_sync: true, sync_is_activity: always,
           presence_router: {module: old.Router, config: {a: 1}}}
routing: {shared_rooms: false, exclude_rooms: ["!lobby:example.org"]}
rate_limits: {presence: off, login: {per_second: 0.5, burst: 3}, registration: "off"}
module_timeout: 500ms
modules:
  - module: my_package.CustomPresenceRouter
    config: {1: [2, 3]}
  - module: other.Router
log: {level: debug, format: json}
""",
        WHERE,
    )
    assert config == Config(
        server_name=ServerName("example.org:8448"),
        listen=(Address("127.0.0.1:8008"), Address("[::1]:8008")),
        data_dir=Path("/srv/lamplighter"),
        public_baseurl="https://presence.example.org/",
        registration="open",
        presence=type(config.presence)(
            enabled=PresenceMode.UNTRACKED,
            last_active_granularity=config.presence.last_active_granularity,
            sync_online_timeout=config.presence.sync_online_timeout,
            idle_timeout=config.presence.idle_timeout,
            busy=True,
            busy_timeout=config.presence.busy_timeout,
            federation_ping=config.presence.federation_ping,
            federation_timeout=config.presence.federation_timeout,
            include_offline_users_on_sync=True,
            sync_is_activity="always",
            presence_router=ModuleEntry(module="old.Router", config={"a": 1}),
        ),
        routing=type(config.routing)(
            shared_rooms=False, exclude_rooms=(RoomId("!lobby:example.org"),)
        ),
        rate_limits=RateLimits(
            presence=None, login=Rate(per_second=0.5, burst=3), registration=None
        ),
        module_timeout=config.module_timeout,
        modules=(
            ModuleEntry(module="my_package.CustomPresenceRouter", config={1: [2, 3]}),
            ModuleEntry(module="other.Router"),
        ),
        log=type(config.log)(level="debug", format="json"),
    )
    assert [
        config.presence.last_active_granularity,
        config.presence.sync_online_timeout,
        config.presence.idle_timeout,
        config.presence.busy_timeout,
        config.presence.federation_ping,
        config.presence.federation_timeout,
        config.module_timeout,
    ] == [
        timedelta(minutes=1),
        timedelta(seconds=30),
        timedelta(minutes=5),
        timedelta(days=1),
        timedelta(minutes=20),
        timedelta(hours=1),
        timedelta(milliseconds=500),
    ]


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("true", PresenceMode.TRACKED),
        ("false", PresenceMode.OFF),
        ("off", PresenceMode.OFF),
        ("untracked", PresenceMode.UNTRACKED),
    ],
)
def test_presence_modes(written: str, mode: PresenceMode) -> None:
    """presence.enabled has three values, of which YAML reads two as booleans."""
    config = parse_config_text(f"{{server_name: a, presence: {{enabled: {written}}}}}", WHERE)
    assert config.presence.enabled is mode


@pytest.mark.parametrize("off", ["off", "false", "'off'"])
def test_no_rate_limits(off: str) -> None:
    """rate_limits: off, bare or quoted, is no limit of any kind."""
    config = parse_config_text(f"{{server_name: a, rate_limits: {off}}}", WHERE)
    assert set(structs.asdict(config.rate_limits).values()) == {None}


def test_empty_values_are_absent() -> None:
    """A key without a value keeps its default."""
    text = """
server_name: a
listen:
modules:
presence:
routing:
  exclude_rooms:
rate_limits:
  login:
log:
"""
    assert parse_config_text(text, WHERE) == parse_config_text("server_name: a", WHERE)


def test_a_module_without_config() -> None:
    """A module with an empty config gets an empty mapping."""
    text = "server_name: a\nmodules:\n  - module: a.B\n    config:\n"
    assert parse_config_text(text, WHERE).modules == (ModuleEntry(module="a.B", config={}),)


def test_yaml_merge_keys() -> None:
    """Anchors and merge keys work, and a merged key may be overridden."""
    text = """
server_name: a
rate_limits:
  login: &slow {per_second: 1, burst: 2}
  presence: {<<: *slow, burst: 7}
"""
    assert parse_config_text(text, WHERE).rate_limits.presence == Rate(per_second=1, burst=7)
