"""Another homeserver, behind this server: requests for it, and what passes on its way to it."""
