"""Coverage-guided fuzzers for everything that reads untrusted files.

    pip install '.[fuzz]'
    python -m tests.fuzz checkpoints -max_total_time=300

Each module except `harness` is a target: `seeds()` are inputs written by the program's own code,
`read(data)` reads one as the program would. `harness.check` defines what counts as a fault.
`tests/test_fuzz.py` replays the seeds and simple mutations of them in the test suite.
"""
