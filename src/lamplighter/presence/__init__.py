"""The presence state machine: pure, with the time as an argument.

Events go in, changes come out. Nothing in this package awaits, logs, reads a clock or counts.
Begin with the table in `transitions.py`. `timers.py` has what time does, `combine.py` how the
devices become the user's state, `changes.py` which changes are announced.
"""
