"""Whether a module is a presence module, decided by the names in its source.

The module is not imported, because a module of another kind often cannot be: it needs Twisted, or
packages that are installed beside Synapse only. The source is the file of the module's class, with
the files of the same package that it imports.
"""

import ast
import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from lamplighter.modules.other_callbacks import OTHER_CALLBACKS, kinds_of

__all__ = ["Evidence", "look_at"]

#: Names that only presence modules use.
_OF_PRESENCE: Final = (
    "register_presence_router_callbacks",
    "get_users_for_states",
    "get_interested_users",
    "set_presence_for_users",
    "get_presence_for_users",
    "subscribe_to_presence",
    "send_local_online_presence_to",
    "UserPresenceState",
    "PresenceRouter",
)
#: Published packages of other kinds with their purpose; they are seldom installed here.
_PUBLISHED: Final = {
    "email_account_validity": "account validity",
    "ldap_auth_provider": "passwords",
    "mjolnir": "spam",
    "shared_secret_authenticator": "passwords",
    "synapse_auto_accept_invite": "invites",
}
_MOST_FILES: Final = 100
_MOST_BYTES: Final = 1_000_000
_NAME: Final = re.compile(r"\w+")
#: All names that are looked for.
_LOOKED_FOR: Final = frozenset((*_OF_PRESENCE, *OTHER_CALLBACKS))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a module's source says about its kind."""

    #: The names of presence in the source.
    presence: tuple[str, ...] = ()
    #: The methods in the source that register callbacks of other kinds.
    other: tuple[str, ...] = ()
    #: Whether the source imports Twisted, which only Synapse's process has.
    needs_twisted: bool = False
    #: The purpose of a published package that is not installed here.
    published_for: str | None = None
    #: Whether the module's package is installed.
    is_installed: bool = True
    #: Whether the source could be read.
    is_readable: bool = False

    @property
    def is_of_another_kind(self) -> bool:
        """Whether the module is certainly no presence module."""
        return not self.presence and bool(self.other or self.published_for)

    @property
    def is_of_another_server(self) -> bool:
        """Whether the module is no presence module if it also cannot be loaded."""
        return self.is_of_another_kind or (self.needs_twisted and not self.presence)

    def __str__(self) -> str:
        if self.other:
            return f"its source names nothing of presence, but callbacks for {kinds_of(self.other)}"
        if not self.needs_twisted and self.published_for is None:
            return "its source names nothing of presence, and it registers nothing"
        if self.published_for is not None:
            return (
                f"its package is not installed here, and is known as one for {self.published_for}"
            )
        return "its source names nothing of presence, and needs Twisted"


@dataclass(frozen=True, slots=True)
class _Source:
    """What the text of one file says."""

    #: Which of the names that are looked for are in the text.
    names: frozenset[str]
    #: The dotted names that the text imports; an imported name may be a module as well.
    imports: Sequence[str]


def look_at(path: str) -> Evidence:
    """Return the evidence for the module whose class has this dotted path."""
    package = path.partition(".")[0]
    roots = _roots(package)
    if roots is None:
        return Evidence(published_for=_PUBLISHED.get(package), is_installed=False)
    names: set[str] = set()
    twisted = readable = False
    for source in _sources(path.rpartition(".")[0], package, roots):
        readable = True
        names |= source.names
        twisted = twisted or any(it.partition(".")[0] == "twisted" for it in source.imports)
    return Evidence(
        tuple(it for it in _OF_PRESENCE if it in names),
        tuple(it for it in OTHER_CALLBACKS if it in names),
        twisted,
        is_readable=readable,
    )


def _roots(package: str) -> Sequence[Path] | None:
    """Return the folders of *package*, or its one file; None if it is not installed."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations is not None:
        return [Path(it) for it in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin else []


def _sources(module: str, package: str, roots: Sequence[Path]) -> Iterator[_Source]:
    """Yield the source of *module*, and of all it imports from its package."""
    waiting, seen = [module], {module}
    while waiting and len(seen) <= _MOST_FILES:
        name = waiting.pop()
        file = _file_of(name, roots)
        try:
            if file is None or file.stat().st_size > _MOST_BYTES:
                continue
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        source = _read(text, name, is_package=file.name == "__init__.py")
        yield source
        ours = [it for it in source.imports if it.partition(".")[0] == package and it not in seen]
        seen.update(ours)
        waiting += ours


# A check loads a module some hundred times, and parsing takes longer than all else of loading.
@lru_cache(maxsize=_MOST_FILES)
def _read(text: str, module: str, *, is_package: bool) -> _Source:
    names = _LOOKED_FOR.intersection(_NAME.findall(text))
    return _Source(names, tuple(_imports(text, module, is_package=is_package)))


def _file_of(module: str, roots: Sequence[Path]) -> Path | None:
    steps = module.split(".")[1:]
    for root in roots:
        if root.suffix == ".py" and not steps:
            return root
        place = root.joinpath(*steps)
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                return file
    return None


def _imports(text: str, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield the dotted names that *text* imports."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, module, is_package=is_package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _base(node: ast.ImportFrom, module: str, *, is_package: bool) -> str:
    """Return the absolute name of the module in `from ... import`."""
    if not node.level:
        return node.module or ""
    steps = module.split(".")
    upwards = node.level - int(is_package)
    kept = steps[: len(steps) - upwards] if upwards else steps
    return ".".join([*kept, *([node.module] if node.module else [])])
