"""HTTP itself: connections, and what an endpoint sees of a request."""
