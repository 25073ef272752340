"""Presence across servers: found, asked, told and believed as the specification says.

Implements parts of the server-server API (<https://spec.matrix.org/latest/server-server-api/>).
"""
