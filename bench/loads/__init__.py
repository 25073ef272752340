"""What is put on a server, one module for each kind of load.

A load is a frozen value with `run(stage)`, which returns what it has measured. It raises
`BenchError` if anything that had to arrive has not.
"""
