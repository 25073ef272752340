"""Modules to start from; installed as `lamplighter_examples`."""
