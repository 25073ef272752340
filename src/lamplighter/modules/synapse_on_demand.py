"""Providing `synapse.…` only when it is imported, and only if no real Synapse is installed.

Until then, nothing of Lamplighter is imported: pytest loads its plugin in all projects, also those
that never use it.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["SynapseOnDemand", "serve_on_demand"]


class SynapseOnDemand(MetaPathFinder):
    """The last finder; the first import of `synapse.…` that reaches it installs the paths."""

    #: By this attribute `synapse_paths` finds and removes the finder.
    is_synapse_on_demand = True

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "synapse":
            return None
        from lamplighter.modules import synapse_paths

        finder = synapse_paths.install()
        return finder.find_spec(fullname, path, target) if finder else None


def serve_on_demand() -> None:
    """Provide `synapse.…` from its first import on; calling this twice is harmless."""
    if not any(isinstance(finder, SynapseOnDemand) for finder in sys.meta_path):
        sys.meta_path.append(SynapseOnDemand())
