"""Presence between servers: finding servers, sending to them, and checking what they send.

Implements parts of the server-server API (<https://spec.matrix.org/latest/server-server-api/>).
"""
