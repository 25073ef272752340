"""Endpoints for the operator and the operator's tools."""
