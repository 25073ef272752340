"""A Hypothesis strategy for JSON values."""

from hypothesis import strategies as st

#: Any JSON value, and numbers that JSON does not have.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
