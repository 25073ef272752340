"""For module authors: a clock to turn by hand, and a whole server in memory."""
