"""Importing modules' code anew, from its files, beside what was imported before.

Python imports a file once. Here everything that belongs to the named packages, and every file
beside them, is imported again, whatever the time stamps of compiled files say; who holds what was
imported before keeps it.
"""

import importlib
import importlib.util
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final, Self

__all__ = ["FreshImports", "source_files"]

#: Never imported anew: the server's own, and what it serves.
_OURS: Final = frozenset({"lamplighter", "synapse", "__main__"})
#: Directories of what is installed; who develops a module does not do so in there.
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


class FreshImports:
    """What is imported within the block is new, as far as it is modules' code."""

    def __init__(self, paths: Iterable[str]) -> None:
        """*paths* are the dotted paths of what will be imported."""
        self._packages = _top_levels(paths)
        self._finder = _FreshFinder()
        self._before: dict[str, ModuleType] = {}

    def __enter__(self) -> Self:
        importlib.invalidate_caches()  # a file may be younger than what is known of its directory
        self._before = _theirs(self._packages)
        for name in self._before:
            del sys.modules[name]
        sys.meta_path.insert(0, self._finder)
        return self

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self._finder)

    def undo(self) -> None:
        """Let everything be found again that was imported before, and nothing that is new."""
        for name in _theirs(self._packages):
            del sys.modules[name]
        sys.modules.update(self._before)


def source_files(paths: Iterable[str]) -> set[Path]:
    """Return the files whose change may change what dotted *paths* lead to."""
    packages = _top_levels(paths)
    files = {Path(file) for it in _theirs(packages).values() if (file := it.__file__)}
    for root in (root for package in packages for root in _roots(package)):
        files.update(root.glob("*.py"))
        for package in packages:
            files.update((root / package).rglob("*.py"))
    return files


def _top_levels(paths: Iterable[str]) -> frozenset[str]:
    """Return the top-level packages of dotted *paths*."""
    return frozenset(path.partition(".")[0] for path in paths) - _OURS


def _theirs(packages: Collection[str]) -> dict[str, ModuleType]:
    """Return, by name, what is imported of *packages* and of files beside them."""
    roots = [root for package in packages for root in _roots(package)]
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in _OURS
        and (name.partition(".")[0] in packages or _is_below(roots, name, module))
        and not isinstance(getattr(module, "__loader__", None), ExtensionFileLoader)
    }


def _roots(package: str) -> Iterator[Path]:
    """Yield the directories in which *package* stands, unless things are installed there."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    places = spec.submodule_search_locations or [spec.origin or ""]
    for place in places:
        root = Path(place).parent
        if _INSTALLED.isdisjoint(root.parts):
            yield root


def _is_below(roots: Sequence[Path], name: str, module: object) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or name.partition(".")[0] in sys.stdlib_module_names:
        return False
    path = Path(file)
    return _INSTALLED.isdisjoint(path.parts) and any(path.is_relative_to(it) for it in roots)


class _FreshFinder(MetaPathFinder):
    """Finds what Python finds; what is not installed is read from its source."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in _OURS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return None
        if _INSTALLED.isdisjoint(Path(spec.loader.path).parts):
            spec.loader = _FreshLoader(spec.loader.name, spec.loader.path)
        return spec


class _FreshLoader(SourceFileLoader):
    """Reads the source, not what was compiled of it: that may be of the same second and size."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code
