"""Who receives whose presence, and why.

`plan.py` has the one answer that delivery, federation, GET, explanations and tests use.
"""
