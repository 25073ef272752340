"""The HTTP floor: what clients, and the operator's tools, can ask.

`client/` holds one file per family of client endpoints, `admin/` the operator's. Here is what
they share: `errors.py` (the one table from exceptions to answers), `auth.py`, `body.py`,
`fields.py`, `limits.py`, `routes.py` and `application.py`.
"""
