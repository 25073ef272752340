"""Our own things under the names that modules import from `synapse.…`."""
