"""docs/configuration.md says what the code does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from lamplighter.config import ClusterSettings, Config, HomeserverSettings, Rate, parse_config_text

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([\w.]+)` \| ([^|]+) \|", re.MULTILINE)
BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def _defaults(kind: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, str]]:
    for field in msgspec.structs.fields(kind):
        name = prefix + field.encode_name
        if field.required:
            yield name, "*required*"
            continue
        default = field.default
        for section in get_args(field.type) if default is None else ():
            if section in (ClusterSettings, HomeserverSettings):
                yield from _defaults(section, f"{name}.")
        if default is msgspec.NODEFAULT:
            default = field.default_factory()
        if isinstance(default, msgspec.Struct) and not isinstance(default, Rate):
            yield from _defaults(type(default), f"{name}.")
        else:
            yield name, _written(default)


def _written(default: Any) -> str:
    if default is None:
        return "*none*"
    if isinstance(default, Rate):
        return f"`{{per_second: {default.per_second:g}, burst: {default.burst}}}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`{', '.join(map(str, default)) or '[]'}`"
    return f"`{default}`"


def test_every_key_is_documented_with_its_default() -> None:
    """The tables have one row for each key, and no other, with the default that the code has."""
    rows = [(key, default.strip()) for key, default in ROW.findall(PAGE)]
    assert sorted(rows) == sorted(_defaults(Config))


@pytest.mark.parametrize("text", BLOCK.findall(PAGE))
def test_examples_load(text: str) -> None:
    """Each YAML example is a configuration that the server takes."""
    assert parse_config_text(text, Path("docs.yaml")).server_name == "example.org"


def test_the_error_shown_is_the_one_given() -> None:
    """The page's example of an error is what the code says."""
    shown = re.search(r"^error: lamplighter.yaml: (.*)$", PAGE, re.MULTILINE)
    assert shown is not None
    with pytest.raises(Exception, match=re.escape(shown[1])):
        parse_config_text("{server_name: a, presence: {idle_timeout: soon}}", Path("x"))
