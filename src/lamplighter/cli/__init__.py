"""The `lamplighter` command: `main.py` has its commands, and each has a file for its work."""
