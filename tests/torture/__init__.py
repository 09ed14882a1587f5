"""Fault injection: `python -m tests.torture [ROW...] [--long] [--seed N]`.

Each row injects one kind of fault, many times, and checks whether anything was lost. The short form
of every row is part of the test suite; the published figures are those of the long form.
"""
