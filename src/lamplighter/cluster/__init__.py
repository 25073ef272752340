"""The stream of presence changes, and who gives its positions."""
