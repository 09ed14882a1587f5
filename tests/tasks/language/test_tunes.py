"""Models of tunes: bars by default, keys and meters, and whole tunes, drawn again where needed."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn.data.tunes import abc
from charrnn.data.tunes.bars import bars
from charrnn.data.tunes.rendering import tune_of
from charrnn.errors import UsageError
from charrnn.inference.bar_automaton import BarAutomaton
from charrnn.inference.bar_states import LOST, WRONG
from charrnn.inference.constraints import Constraints
from charrnn.inference.generation import SamplingParams
from charrnn.tasks.language import tunes
from charrnn.tasks.language.tunes import Drawn, asked_key, asked_meter, flaw, whole_tunes
from tests.support.steppers import pairs
from tests.support.tiny import tiny_run
from tests.support.tunes import tunes_model

HEADER = "X:1\nM:2/4\nL:1/8\nK:G\n"
PLAIN = "X:{}\nT:Tune\nM:2/4\nL:1/8\nK:G\n|: A2 B2 | c4 :|\n|: d2 c2 | B4 :|\n\n"


def drawn_tunes(count: int, seed: int = 1, **options: Any) -> tuple[list[str], Drawn]:
    drawn, length = Drawn(), options.pop("length", 600)
    params = SamplingParams(length, seed=seed)
    found = whole_tunes(tunes_model(), [""] * count, params, Constraints(**options), drawn)
    return list(found), drawn


def test_a_model_of_tunes_counts_bars_unless_it_is_asked_not_to() -> None:
    model = tunes_model()
    text = model.sample(length=2000, seed=4)
    assert not [each for each in bars(tune_of(text)) if each.wrong]
    assert text.endswith("\n")
    loose = model.sample(HEADER + "A2", length=30, seed=4, bars=False)
    assert BarAutomaton().read(f"{HEADER}A2{loose}").stage in (LOST, WRONG)


def test_a_key_and_a_meter_hold() -> None:
    for seed in range(5):
        text = tunes_model().sample(seed=seed, key="E minor", meter="6/8", length=800)
        assert text.startswith("X:1\nM:6/8\nL:1/")
        assert "\nK:Em\n" in text
        assert "[K:" not in text
        assert "[M:" not in text


def test_equal_seeds_draw_equal_texts_and_others_others() -> None:
    texts = [tunes_model().sample(seed=seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"key": "H"}, "there is no key 'H'"),
        ({"key": " "}, "there is no key"),
        ({"meter": "4"}, "there is no meter '4'"),
        ({"key": "G", "bars": False}, "--key and --no-bars contradict"),
    ],
)
def test_what_no_tune_can_have_is_refused(asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        tunes_model().sample(length=5, **asked)


def test_names_of_keys_and_meters_are_read_as_abc_reads_them() -> None:
    assert [asked_key(each) for each in ("Gmaj", "a", "Bb")[::2]] == ["G", "Bb"]
    assert [asked_meter(each) for each in ("C|", " 3/4")] == ["2/2", "3/4"]


def test_a_model_of_another_text_is_refused_in_one_line(tmp_path: Path) -> None:
    model = charrnn.load(tiny_run(tmp_path))
    for asked in ({"bars": True}, {"key": "G"}, {"meter": "6/8"}):
        with pytest.raises(UsageError, match="is no model of tunes; leave --"):
            model.sample(length=5, **asked)
    assert model.sample(length=20, seed=1, bars=False) == model.sample(length=20, seed=1)


def test_a_model_that_learned_abc_as_any_text_counts_bars_where_it_is_asked(tmp_path: Path) -> None:
    text = "".join(PLAIN.format(number) for number in range(1, 40))
    model = charrnn.load(tiny_run(tmp_path, text=text))
    model.engine = pairs(model.tokenizer, text)  # type: ignore[assignment]
    written = model.sample("X:1\n", length=300, seed=1, bars=True)
    head, _, music = ("X:1\n" + written).partition("\nK:")
    body = music[: music.rindex("|") + 1].split("\n\n")[0]
    assert not [b for b in bars(abc.parse(f"{head}\nK:{body}".splitlines(), Counter())) if b.wrong]
    assert model.sample("X:1\n", length=50, seed=1) != written[:50]


def test_whole_tunes_end_and_have_no_flaw() -> None:
    found, drawn = drawn_tunes(12)
    assert len(found) == drawn.tunes == 12
    assert len(set(found)) > 6
    for text in found:
        assert flaw(text) == ""
        assert text.endswith(("|\n", "|]\n"))


def test_what_is_flawed_is_drawn_again_and_counted() -> None:
    found, drawn = drawn_tunes(12, length=200)
    assert all(len(text) <= 200 for text in found)
    assert drawn.again["did not end"] > 0
    assert drawn.note().startswith(f"{drawn.again.total()} tune")
    assert "did not end" in drawn.note()
    assert Drawn().note() == ""


def test_a_tune_depends_on_its_number_and_not_on_how_many_are_drawn() -> None:
    assert drawn_tunes(3)[0] == drawn_tunes(6)[0][:3]
    assert drawn_tunes(3, seed=2)[0] != drawn_tunes(3)[0]


def test_after_a_bound_one_line_says_why_no_tune_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunes, "TRIES", 3)
    with pytest.raises(UsageError, match=r"no whole tune was drawn in 3 tries .*2 did not end"):
        drawn_tunes(2, length=10)


@pytest.mark.parametrize(
    ("music", "wrong"),
    [
        ("|:A2B2|c4:|", ""),
        ("A2B2|c4|]", "had too few bars"),
        ("z4|z4|]", "had no notes"),
        ("|:A,,,4|A4:|", "left the range"),
        ("|:c'''4|A4:|", "left the range"),
        ("A4-|" * 5 + "A4|]", "had an endless note"),
        ("A4-|" * 3 + "A4|]", ""),
        ("A77777|]", "could not be read"),
    ],
)
def test_the_flaws_of_a_tune(music: str, wrong: str) -> None:
    assert flaw(HEADER + music + "\n") == wrong
