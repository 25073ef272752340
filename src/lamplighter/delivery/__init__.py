"""Delivery to local viewers: since tokens, outboxes, and the polls that wait."""
