"""Who is told of whose presence, and why.

`plan.py` gives the one answer that delivery, federation, GET, explanations and tests all use.
"""
