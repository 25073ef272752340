"""How local users are told: tokens, outboxes, and the long poll."""
