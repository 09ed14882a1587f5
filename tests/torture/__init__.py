"""The faults to survive, as programs: `python -m tests.torture [ROW...] [--long] [--seed N]`.

Each row does one kind of harm, many times, and looks whether anything was lost. The short form of
every row is part of the test suite; the long form is what the published figures come from.
"""
