"""The benchmark: the same load on Lamplighter and on other presence servers, side by side.

`make bench` runs it. Read `presets.py` first, which says what is measured, then `loads/`, which
says how; `servers/` starts the servers, `results.py` and `report.py` make the table.
"""
