"""The servers to measure: a module for each configures and starts it."""
