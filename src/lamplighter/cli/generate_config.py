"""`lamplighter generate-config`: a configuration to start from, with every key explained."""

from pathlib import Path
from typing import Final

from lamplighter.errors import ConfigError, InvalidId
from lamplighter.ids import parse_server_name

__all__ = ["TEMPLATE", "config_text", "write_config"]

#: Values that are commented out are the defaults.
TEMPLATE: Final = """\
# Lamplighter's configuration. A key that is absent or commented out has the value shown here;
# docs/configuration.md says more about each. Durations: 500ms, 30s, 5m, 1h, 1d.

# The part of user IDs after the colon. It cannot be changed later.
server_name: "{server_name}"

# Where HTTP is served: host:port or [IPv6 address]:port, or a list of them.
#listen: 127.0.0.1:8008

# A homeserver behind this server, in place of the built-in one: a mapping with its `url`.
#homeserver: null

# Proxies whose header X-Forwarded-For is believed, for the limits on log-ins by address.
#trusted_proxies: [127.0.0.0/8, "::1/128"]

# Where databases and keys are kept; a relative path starts at this file.
#data_dir: ./data

# The URL of a PostgreSQL database, instead of a SQLite file in data_dir:
# postgresql://lamplighter:password@localhost/lamplighter, for example.
#database: null

# This process as one of several nodes over that database and one Valkey: a mapping with the name of
# this node and the URL of the Valkey, {{node: a, bus: redis://127.0.0.1:6379/0}} for example.
#cluster: null

# Where clients reach this server from outside; modules may ask for it.
#public_baseurl: https://{server_name}/

# closed: accounts are made by `lamplighter register-user`. open: anybody may register.
#registration: closed

#presence:
#  enabled: true                  # false: there is no presence; untracked: only modules set it
#  last_active_granularity: 60s   # how long "currently active" lasts
#  sync_online_timeout: 30s       # a device drops this long after its last poll
#  idle_timeout: 5m               # an online device becomes unavailable this long after activity
#  busy: false                    # allow the presence "busy" (MSC3026)
#  busy_timeout: 60m              # a busy device drops this long after its last poll
#  federation_ping: 25m           # other servers are reminded of unchanged users this often
#  federation_timeout: 30m        # users of a server that is silent this long are offline
#  include_offline_users_on_sync: false
#  sync_is_activity: explicit     # explicit: a poll with set_presence=online; always; never

#routing:
#  shared_rooms: true             # false: the modules alone decide who is told
#  exclude_rooms: []              # rooms whose members do not see each other by them
#  largest_room: null             # rooms with more members than this show nobody: 1000
#  rooms: all                     # direct: only rooms with two members show anybody
#  record: null                   # decisions.log: who was told of whom, for `lamplighter replay`
#  record_size: 64MB              # of each file of that
#  record_files: 8                # the newest are kept

# How fast one requester may be. `off` instead of a pair, or of the whole, sets no limit.
#rate_limits:
#  presence: {{per_second: 5, burst: 20}}
#  login: {{per_second: 1, burst: 10}}
#  registration: {{per_second: 1, burst: 10}}
#  rooms: {{per_second: 10, burst: 100}}

# Presence to and from other servers. Without certificate and key it is plain HTTP, for a proxy.
#federation:
#  enabled: false
#  shared_rooms: true             # false: to the servers that modules name, and no others
#  listen: 0.0.0.0:8448
#  tls_certificate: null          # cert.pem
#  tls_private_key: null          # key.pem
#  signing_key: null              # signing.key in data_dir; the path of Synapse's will do
#  verify_certificates: true
#  extra_ca_files: []
#  allow_addresses: []            # private networks that may be contacted all the same
#  allow_servers: null            # a list here, and only those; *.example.org stands for many
#  deny_servers: []
#  well_known_server: null        # what /.well-known/matrix/server says

# Presence router modules, as in a Synapse configuration.
#modules:
#  - module: my_package.MyPresenceRouter
#    config: {{}}
#    shadow: false                # true: only asked, and what it would change is counted

# What becomes of a module that is not of presence, and stays in Synapse: refuse is an error.
#modules_not_of_presence: refuse   # skip: it is left out

# A module that answers later than this is not waited for.
#module_timeout: 5s

# The admin API and the dashboard, below /_lamplighter/. Without a token there are none.
#admin:
#  token_hash: null               # `lamplighter admin-token` makes a token, and prints its hash

#log:
#  level: info                    # debug, info, warning, error
#  format: auto                   # console, json, or auto: console on a terminal
"""


def config_text(server_name: str) -> str:
    """Return a configuration for *server_name*; raise `ConfigError` unless it is one."""
    try:
        parse_server_name(server_name)
    except InvalidId as error:
        raise ConfigError(f"--server-name: {error}") from None
    return TEMPLATE.format(server_name=server_name)


def write_config(text: str, path: Path) -> None:
    """Write *text* to a new file at *path*; raise `ConfigError` if it exists or cannot be made."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path}: exists already; name another file, or remove it") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
