"""The options that limit a text -> filters: which, in what order, and every mistake in them."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run import Run
from charrnn.errors import CorpusError, UsageError
from charrnn.inference.constraints import (
    BanConstraint,
    Constraints,
    NoCopyConstraint,
    RegexConstraint,
)
from charrnn.inference.sampling import Context, Filter
from charrnn.tokenizers import TOKENIZERS
from tests.support.steppers import noise, written
from tests.support.tiny import TEXT, smallest_checkpoint, tiny_run

MODEL = smallest_checkpoint(training=False)
NOWHERE = Path("nowhere") / "step.safetensors"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with its corpus beside it."""
    return tiny_run(tmp_path)


def loaded(run: Run) -> tuple[Checkpoint, Path]:
    """The run's checkpoint and its path."""
    path = run.pick("latest").path
    return checkpoint.load(path), path


def changes(rules: list[Filter]) -> dict[str, float]:
    """What filters make of logits of 0, by the text of the tokens that they change."""
    left = np.zeros((1, MODEL.model.vocab_size), np.float32)
    for rule in rules:
        left = rule(left, Context(np.array([[-1]])))
    spell = MODEL.tokenizer.decode
    return {spell([i]): float(left[0, i]) for i in np.flatnonzero(left).tolist() if i >= 16}


def test_nothing_asked_is_nothing_done() -> None:
    assert Constraints().filters(MODEL, NOWHERE) == ([], None)


def test_each_option_makes_its_filter_and_a_pattern_comes_last(run: Run) -> None:
    model, path = loaded(run)
    asked = Constraints(ban=("cat",), allow="acest \n", bias=("a=1",), pattern="[a-z ]+", no_copy=5)
    made, ends = asked.filters(model, path)
    assert [type(rule) for rule in made[1:]] == [BanConstraint, NoCopyConstraint, RegexConstraint]
    assert len(made) == 4
    assert ends == made[-1].ends  # type: ignore[attr-defined]
    assert ends is not None


def test_every_generation_has_filters_of_its_own() -> None:
    asked = Constraints(ban=("a",), pattern="b+")
    first, second = asked.filters(MODEL, NOWHERE), asked.filters(MODEL, NOWHERE)
    assert not {id(rule) for rule in first[0]} & {id(rule) for rule in second[0]}


def test_allowing_rules_out_the_other_characters() -> None:
    made, ends = Constraints(allow="cat ").filters(MODEL, NOWHERE)
    assert ends is None
    left = changes(made)
    assert set(left.values()) == {-np.inf}
    assert set(left) == set(TEXT) - set("cat ")


def test_a_bias_is_added() -> None:
    made, _ = Constraints(bias=("a=2.5", "e=-3")).filters(MODEL, NOWHERE)
    assert changes(made) == {"a": 2.5, "e": -3.0}


@pytest.mark.parametrize(
    ("given", "text", "amount"),
    [("a=0.5", "a", 0.5), ("\n=-1", "\n", -1.0), (" =1e6", " ", 1e6), ("a=-1000000", "a", -1e6)],
)
def test_amounts_are_read_up_to_their_bounds(given: str, text: str, amount: float) -> None:
    made, _ = Constraints(bias=(given,)).filters(MODEL, NOWHERE)
    assert changes(made) == {text: amount}


def test_an_equals_sign_can_have_a_bias() -> None:
    model = smallest_checkpoint(training=False, tokenizer="byte")
    made, _ = Constraints(bias=("==5",)).filters(model, NOWHERE)
    left = made[0](np.zeros((1, 256), np.float32), Context(np.array([[-1]])))
    assert np.flatnonzero(left).tolist() == [ord("=")]


def test_the_last_of_two_amounts_counts() -> None:
    made, _ = Constraints(bias=("a=1", "a=2")).filters(MODEL, NOWHERE)
    assert changes(made) == {"a": 2.0}


def test_a_bias_does_not_allow_what_is_not_allowed() -> None:
    made, _ = Constraints(allow="at", bias=("c=100", "a=1")).filters(MODEL, NOWHERE)
    left = changes(made)
    assert left["c"] == -np.inf
    assert left["a"] == 1.0
    assert "t" not in left


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("a", "--bias 'a' has no amount; write it as TEXT=AMOUNT"),
        ("a=", "has no amount"),
        ("a=b", "has no amount"),
        ("a=1=", "has no amount"),
        ("=5", "--bias '=5' is not a text and an amount; give -1000000 to 1000000"),
        ("5", "--bias '5' is not a text and an amount"),
        ("a=1e7", "is not a text and an amount"),
        ("a=-1000001", "is not a text and an amount"),
        ("a=inf", "is not a text and an amount"),
        ("a=nan", "is not a text and an amount"),
        ("cat=1", "--bias 'cat' is 3 tokens for this model"),
        ("é=1", "--bias 'é' is 4 tokens for this model"),
    ],
)
def test_a_bias_that_cannot_be_used_is_a_usage_error(given: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        Constraints(bias=(given,)).filters(MODEL, NOWHERE)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (Constraints(allow=""), "--allow leaves nothing"),
        (Constraints(allow="é"), "--allow leaves nothing"),
        (Constraints(ban=("",)), "--ban leaves nothing"),
        (Constraints(pattern="("), "--regex cannot be read"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_a_usage_error(asked: Constraints, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        asked.filters(MODEL, NOWHERE)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_all_limits_are_kept_at_once(name: str, tmp_path: Path) -> None:
    model, path = loaded(tiny_run(tmp_path, name))
    letters = "Thecatmildrsonuw ,.!\n"
    rules, _ = Constraints(ban=("at",), allow=letters, bias=("\n=1",), no_copy=15).filters(
        model, path
    )
    text = written(model.tokenizer, noise(model.model.vocab_size), rules, 120)
    assert len(text) > 60
    assert set(text) <= set(letters)
    assert "at" not in text
    assert not any(text[i : i + 16] in TEXT for i in range(len(text) - 15))


def test_a_model_without_its_corpus_cannot_say_what_is_a_copy(run: Run, tmp_path: Path) -> None:
    model, path = loaded(run)
    alone = tmp_path / "alone.safetensors"
    shutil.copy(path, alone)
    with pytest.raises(CorpusError, match=r"alone\.safetensors learned from is not beside it; lea"):
        Constraints(no_copy=9).filters(model, alone)
    (run.corpus_folder / "train.npy").unlink()
    with pytest.raises(CorpusError, match="is not beside it"):
        Constraints(no_copy=9).filters(model, path)


def test_only_no_copy_needs_the_corpus() -> None:
    made, _ = Constraints(ban=("x",), allow="abc", bias=("a=1",), pattern="a").filters(
        MODEL, NOWHERE
    )
    assert len(made) == 3
