"""The `lamplighter` command: `main.py` and `*_commands.py` have its options, the rest its work."""
