"""What presence router modules, written for Synapse's module API, are loaded by and talk to.

`loader.py` brings them in, `api.py` is the object each of them is given, `synapse_paths.py`
serves the `synapse.…` names they import, and `runtime.py` strings these together for `app/`.
"""
