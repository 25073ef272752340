"""The operator's settings: read once, checked whole, and frozen.

`model.py` has every key with its default; `values.py` reads durations and addresses;
`relations.py` checks what the keys demand of one another; `load.py` goes from a file to a
`Config`, and `explain.py` makes one line of whatever is wrong.
"""

from lamplighter.config.load import load_config, parse_config_text, read_yaml_file
from lamplighter.config.model import (
    AdminSettings,
    Config,
    FederationSettings,
    LogSettings,
    ModuleEntry,
    PresenceMode,
    PresenceSettings,
    Rate,
    RateLimits,
    RoutingSettings,
)
from lamplighter.config.values import Address, Duration, Network

__all__ = [
    "Address",
    "AdminSettings",
    "Config",
    "Duration",
    "FederationSettings",
    "LogSettings",
    "ModuleEntry",
    "Network",
    "PresenceMode",
    "PresenceSettings",
    "Rate",
    "RateLimits",
    "RoutingSettings",
    "load_config",
    "parse_config_text",
    "read_yaml_file",
]
