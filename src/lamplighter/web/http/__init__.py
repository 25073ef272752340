"""HTTP/1.1, as a server. Nothing here knows Matrix: errors and limits are in `settings.py`.

Most requests to a presence server wait for news, for minutes, and then all are answered at once.
So the cost of a waiting request is the cost of presence, and this server is our own; httptools
parses, and the event loop has sockets and TLS. From the bytes up:

- `reader.py` makes requests (`request.py`) of bytes, `responses.py` makes bytes of responses;
- `phases.py` is the table of what becomes of a connection, and `connection.py` follows it;
- each request is answered in a request-response cycle: by a plain function that is called with an
  `Exchange`, or by an ASGI application in a task (`asgi.py`);
- `server.py` has the connections of a server, the one timer for all of them (`timeouts.py`), and
  the order in which the server stops.
"""
