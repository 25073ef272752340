"""The presence state machine: pure, with time as an argument.

Events go in, changes come out. Nothing in this package awaits, logs, reads a clock or counts.
Read `transitions.py` first: it is the table; then `timers.py`, `combine.py` and `changes.py`,
which say what time does, how devices become a user, and what is worth telling.
"""
