"""Serving `synapse.…` only once somebody imports it, and nobody else has it.

It imports nothing of Lamplighter before: the pytest plugin is loaded in projects that never ask.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["SynapseOnDemand", "serve_on_demand"]


class SynapseOnDemand(MetaPathFinder):
    """Stands behind all other finders; the first import that reaches it is its last."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "synapse":
            return None
        from lamplighter.modules import synapse_paths

        finder = synapse_paths.install()
        return finder.find_spec(fullname, path, target) if finder else None


def serve_on_demand() -> None:
    """Serve `synapse.…` from its first import on; harmless when that is so already."""
    if not any(isinstance(finder, SynapseOnDemand) for finder in sys.meta_path):
        sys.meta_path.append(SynapseOnDemand())
