"""Makes those parts of docs/ that say what the code says: pictures and references."""
