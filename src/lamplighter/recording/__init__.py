"""What was decided, kept in a log: who was told of whom and why, for a rehearsal of other rules."""
