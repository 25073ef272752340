"""Everything that presence router modules, written for Synapse's module API, use directly.

`loader.py` loads them, `api.py` is the object that each module gets, `synapse_paths.py` provides
the `synapse.…` names that they import, and `runtime.py` has the life of a server's modules.
"""
