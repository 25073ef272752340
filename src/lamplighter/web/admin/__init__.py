"""Endpoints for the operator and the operator's tools: the admin API, health checks, metrics."""
