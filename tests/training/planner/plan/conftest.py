"""A machine of a known speed under every plan of this folder."""

import pytest

from charrnn.training.planner import plan as planner
from tests.support.plans import Machine


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(planner, "calibrate", made)
    monkeypatch.setattr(planner, "best_precision", lambda *_: "bfloat16")
    return made
