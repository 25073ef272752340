"""Importing modules' code anew, so that changed files take effect without a restart.

Python imports a file once and keeps it in `sys.modules`. Within a `FreshImports` block, the
packages of the modules, and all files beside them, are taken out of `sys.modules`. The imports in
the block read them again from their sources: compiled files are ignored, because a file may change
twice within a second and keep its size. Objects from the earlier import stay valid for the code
that uses them, so the old modules go on working until they are stopped.

Installed packages (`site-packages`), the server's own, and extension modules are never imported
anew. If the reload fails, `undo` puts the earlier imports back.
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

#: Packages that are never imported anew.
_OURS: Final = frozenset({"lamplighter", "synapse", "__main__"})
#: Directories of installed packages.
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


class FreshImports:
    """Within the block, modules' code is imported anew."""

    def __init__(self, paths: Iterable[str]) -> None:
        """*paths* are the dotted paths of the modules' classes."""
        self._packages = _top_levels(paths)
        self._finder = _FreshFinder()
        self._before: dict[str, ModuleType] = {}

    def __enter__(self) -> Self:
        importlib.invalidate_caches()  # Python may not know of new files yet
        self._before = _theirs(self._packages)
        for name in self._before:
            del sys.modules[name]
        sys.meta_path.insert(0, self._finder)
        return self

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self._finder)

    def undo(self) -> None:
        """Put back the imports from before the block."""
        for name in _theirs(self._packages):
            del sys.modules[name]
        sys.modules.update(self._before)


def source_files(paths: Iterable[str]) -> set[Path]:
    """Return the files that belong to the modules with these dotted *paths*."""
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
    """Return the imported modules of *packages* and of files beside them, by name."""
    roots = [root for package in packages for root in _roots(package)]
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in _OURS
        and (name.partition(".")[0] in packages or _is_below(roots, name, module))
        and not isinstance(getattr(module, "__loader__", None), ExtensionFileLoader)
    }


def _roots(package: str) -> Iterator[Path]:
    """Yield the directories that contain *package*, but not those of installed packages."""
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
    """Finds modules as Python does; modules that are not installed get a `_FreshLoader`."""

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
    """Reads the source and never the compiled file."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code
