"""Error rates, BLEU and chrF, and the usual failures."""

import random
from functools import cache
from unittest import mock

import pytest

from charrnn.tasks.pairs import metrics
from charrnn.tasks.pairs.metrics import distance, failures, score


def textbook(one: str, other: str) -> int:
    """Levenshtein's distance by its definition."""

    @cache
    def least(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        differs = one[i - 1] != other[j - 1]
        return min(least(i - 1, j) + 1, least(i, j - 1) + 1, least(i - 1, j - 1) + differs)

    return least(len(one), len(other))


def test_the_distance_is_that_of_the_definition() -> None:
    draw = random.Random(3)
    for _ in range(100):
        one, other = ("".join(draw.choices("abc", k=draw.randrange(9))) for _ in range(2))
        assert distance(one, other) == textbook(one, other), (one, other)


def test_a_distance_of_huge_texts_is_bounded() -> None:
    assert distance("a" * 30_000, "b") == 30_000


def test_rates_are_of_all_symbols_and_words() -> None:
    found = score(["a b c", "x"], ["a b d", "x"])
    assert found.value == pytest.approx(1 / 6)
    assert found.word_error_rate == pytest.approx(1 / 4)
    assert found.exact_match == 0.5
    assert "0.1667 symbol errors" in found.summary()


def test_bleu_and_chrf_are_those_of_sacrebleu_with_signatures() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    hypotheses, references = ["the cat sat on a mat ."], ["the cat sat on the mat ."]
    found = score(hypotheses, references, quality=True)
    assert found.bleu == sacrebleu.corpus_bleu(hypotheses, [references]).score
    assert found.chrf == sacrebleu.corpus_chrf(hypotheses, [references]).score
    assert "nrefs:1|case:mixed" in found.signatures["bleu"]
    assert found.to_json()["bleu"] == found.bleu


def test_without_sacrebleu_there_are_the_other_figures() -> None:
    with mock.patch.object(metrics, "has_sacrebleu", return_value=False):
        assert score(["a"], ["a"], quality=True).bleu is None


REFERENCES = [f"word {n} and more" for n in range(20)]


@pytest.mark.parametrize(
    ("outputs", "unknown", "kind"),
    [
        (["a man in a street"] * 12 + REFERENCES[:8], False, "same output"),
        ([f"{n} a man a man a man a man" for n in range(20)], False, "repeated words"),
        ([f"{n}" for n in range(20)], True, "unknown words"),
    ],
)
def test_each_usual_failure_is_named(outputs: list[str], unknown: bool, kind: str) -> None:
    assert set(failures(outputs, REFERENCES, [unknown] * 20)) == {kind}


def test_what_the_targets_do_themselves_is_no_failure() -> None:
    assert failures(["yes"] * 20, ["yes"] * 18 + ["no"] * 2, [False] * 20) == {}
    laughs = [f"{n} ha ha ha ha ha" for n in range(20)]
    assert failures(laughs, laughs, [False] * 20) == {}
    assert failures(REFERENCES, REFERENCES, [False] * 20) == {}
    assert failures(["same"] * 3, REFERENCES[:3], [False] * 3) == {}
