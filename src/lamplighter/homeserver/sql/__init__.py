"""The built-in directory: accounts, devices, tokens and rooms in a SQL database.

Read `ledger.py` first: every write goes through it, and it tells listeners what was stored. Then
`events.py` and `membership.py`, on which the rooms stand, and `sync.py`, which reads them; first
syncs are written from `pages.py`.
"""

from lamplighter.homeserver.sql.directory import SqlDirectory

__all__ = ["SqlDirectory"]
