"""The built-in homeserver: accounts and rooms in SQL, and the endpoints that only it serves."""
