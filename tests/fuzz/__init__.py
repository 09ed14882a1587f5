"""Programs that feed damaged input to what reads strangers' files, guided by coverage.

    pip install '.[fuzz]'
    python -m tests.fuzz checkpoints -max_total_time=300

Each module besides `harness` is one target: `seeds()` are inputs made by the project's own code,
`read(data)` reads one as the program would. What counts as a fault stands in `harness.check`.
`tests/test_fuzz.py` replays the seeds and simple damages of them in the ordinary suite.
"""
