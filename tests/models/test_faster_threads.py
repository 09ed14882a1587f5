"""faster_threads: a large difference decides, on a clock that the test holds."""

import pytest
import torch

from charrnn.models.device import faster_threads


@pytest.mark.parametrize(
    ("one", "two", "chosen"),
    [(1.0, 0.5, 2), (1.0, 1.0, 2), (1.0, 1.2, 2), (1.0, 1.5, 1), (1.0, 60.0, 1)],
)
def test_one_thread_has_to_be_much_faster(
    one: float, two: float, chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def work() -> None:
        nonlocal now
        now += one if torch.get_num_threads() == 1 else two

    monkeypatch.setattr("time.perf_counter", lambda: now)
    assert faster_threads(work, 2) == chosen


def test_without_a_choice_nothing_is_tried() -> None:
    assert faster_threads(lambda: 1 / 0, 1) == 1
