"""Lamplighter: a Matrix presence server that runs presence router modules."""

__all__ = ["__version__"]

__version__ = "0.1.0"
