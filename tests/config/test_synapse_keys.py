"""The error for a homeserver.yaml in place of our configuration."""

from pathlib import Path

import pytest

from lamplighter.config import parse_config_text
from lamplighter.config.synapse_keys import MOVED_KEYS, SYNAPSE_KEYS
from lamplighter.errors import ConfigError
from tests.config.test_explain import SECRET_KEYS

WHERE = Path("homeserver.yaml")


def refusal(text: str) -> str:
    """Return the error of a configuration."""
    with pytest.raises(ConfigError) as raised:
        parse_config_text(text, WHERE)
    return str(raised.value)


def test_a_whole_file_gets_one_answer() -> None:
    """One error names the keys that move and stay, and the command to use, and no value."""
    text = """
server_name: example.org
pid_file: /run/synapse.pid
listeners: [{port: 8008, type: http, resources: [{names: [client]}]}]
database: {name: psycopg2, args: {password: hunter2}}
log_config: /etc/log.yaml
media_store_path: /media
registration_shared_secret: hunter2
macaroon_secret_key: hunter2
signing_key_path: /etc/signing.key
federation: {client_timeout: 60s}
modules: []
no_such_key_anywhere: hunter2
"""
    assert refusal(text) == (
        "homeserver.yaml: this is a configuration of Synapse.\n"
        "  Moves as it is: server_name, modules.\n"
        "  Moves under another name: listeners to listen, "
        "signing_key_path to federation.signing_key.\n"
        "  Stays in Synapse: 6 keys (pid_file, database, log_config, media_store_path, "
        "registration_shared_secret, …).\n"
        "  Unknown to both: 1 keys.\n"
        "  For a configuration to start from:\n"
        "    lamplighter generate-config --from-synapse homeserver.yaml -o lamplighter.yaml"
    )


@pytest.mark.parametrize("key", sorted(SYNAPSE_KEYS))
def test_each_key_is_known(key: str) -> None:
    """The error for a single key of Synapse names the key to use instead, or says that it stays."""
    said = refusal(f"server_name: example.org\n{key}: {{name: hunter2}}\n")
    if key in MOVED_KEYS:
        assert said == f"{WHERE}: {key}: a key of Synapse; here it is {MOVED_KEYS[key]}"
    else:
        assert said == f"{WHERE}: {key}: a key of Synapse, which stays in Synapse; remove it here"


def test_secrets_of_synapse_are_among_the_known() -> None:
    """Keys with secrets are recognised as Synapse's, and never moved."""
    assert {"macaroon_secret_key", "registration_shared_secret", "form_secret"} <= SYNAPSE_KEYS
    assert not MOVED_KEYS.keys() & set(SECRET_KEYS)
