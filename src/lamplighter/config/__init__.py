"""The configuration: read once, checked as a whole, and immutable.

`model.py` has each key with its default, and `values.py` the types of values that YAML lacks.
`load.py` turns a file into a `Config`, `relations.py` checks keys against each other, and
`explain.py` turns a mistake into one line.
"""

from lamplighter.config.load import load_config, parse_config_text, read_yaml_file
from lamplighter.config.model import (
    AdminSettings,
    ClusterSettings,
    Config,
    FederationSettings,
    HomeserverSettings,
    LogSettings,
    ModuleEntry,
    PresenceMode,
    PresenceSettings,
    Rate,
    RateLimits,
    RoutingSettings,
)
from lamplighter.config.values import Address, BusUrl, DatabaseUrl, Duration, HomeserverUrl, Network

__all__ = [
    "Address",
    "AdminSettings",
    "BusUrl",
    "ClusterSettings",
    "Config",
    "DatabaseUrl",
    "Duration",
    "FederationSettings",
    "HomeserverSettings",
    "HomeserverUrl",
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
