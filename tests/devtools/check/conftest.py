"""The modules to be checked import from `synapse`, also when a test names their classes."""

from lamplighter.modules import synapse_paths

synapse_paths.install()
