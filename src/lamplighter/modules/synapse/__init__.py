"""Our own classes and constants under the names that modules import from `synapse.…`."""
