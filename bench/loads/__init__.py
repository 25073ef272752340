"""The loads, one module for each kind.

A load is a frozen value. `run(stage)` returns its measurements. It raises `BenchError` if an update
has not arrived.
"""
