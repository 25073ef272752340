"""`lamplighter check-config`: whether a configuration and its modules can be used."""

from collections.abc import Iterator
from pathlib import Path

from lamplighter.config import load_config
from lamplighter.modules.loader import import_and_parse, module_entries

__all__ = ["check_config"]


def check_config(path: Path) -> Iterator[str]:
    """Give lines that say what was found good; raise `ConfigError` for the first that is not.

    Modules are imported and read their configuration; none is started.
    """
    config = load_config(path)
    modules = import_and_parse(module_entries(config))
    yield f"{path}: good, for {config.server_name} on {', '.join(config.listen)}"
    for module in modules:
        yield f"{module.entry.where}: {module.entry.path} can be loaded"
