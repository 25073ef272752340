"""HTTP/1.1 over sockets, as a server.

Most requests here wait for news, for minutes, and then all are answered at once. What that costs
decides what presence costs, so this part is our own; parsing is left to httptools, sockets and
TLS to the event loop. From the bytes up:

- `reader.py` makes requests of bytes (`request.py`), `responses.py` makes bytes of answers;
- `connection.py` answers the requests of one client in their order, each by a *turn*: a plain
  function that is called with an exchange (`exchange.py`, `direct.py`), or an ASGI application
  that runs in a task (`asgi.py`);
- `hub.py` is what all connections of a listener share, among it one timer (`timeouts.py`).
"""
