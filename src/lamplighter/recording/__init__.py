"""The record of decisions: who got whose state and why, so that other rules can be rehearsed."""
