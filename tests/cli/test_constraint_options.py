"""The options that constrain a text -> filters: which, in what order, and every mistake in them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from charrnn import api
from charrnn.checkpoints.run import Run
from charrnn.cli.chain import amounts
from charrnn.data.suffix_array import SuffixArray
from charrnn.errors import CorpusError, UsageError
from charrnn.inference.constraints import (
    AllowConstraint,
    BanConstraint,
    Constraints,
    NoCopyConstraint,
)
from charrnn.inference.generation import SamplingParams, begin
from charrnn.inference.patterns import RegexConstraint
from charrnn.inference.sampling import Context, Filter
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tasks.language.originality import open_index
from charrnn.tokenizers import TOKENIZERS
from tests.support.steppers import noise, written
from tests.support.tiny import TEXT, smallest_checkpoint, tiny_run

TOKENIZER = smallest_checkpoint(training=False).tokenizer


def no_index() -> SuffixArray:
    """In the place of the corpus index, where none may be opened."""
    raise AssertionError("the corpus is not needed")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with its corpus."""
    return tiny_run(tmp_path)


def loaded(run: Run, path: Path | None = None) -> LanguageModel:
    """The run's model, from its own checkpoint or from a copy elsewhere."""
    model: LanguageModel = api.load(path or run, checkpoint="latest", threads=1)
    return model


def index_of(model: LanguageModel) -> Callable[[], SuffixArray]:
    """What opens the index of a model's corpus."""
    return lambda: open_index(model.corpus_or_error("none"), model.path.parent / "corpus")


def changes(rules: list[Filter]) -> dict[str, float]:
    """The result of filters for logits of 0, by the text of the tokens that they change."""
    left = np.zeros((1, TOKENIZER.vocab_size), np.float32)
    for rule in rules:
        left = rule(left, Context(np.array([[-1]])))
    text = TOKENIZER.decode
    return {text([i]): float(left[0, i]) for i in np.flatnonzero(left).tolist() if i >= 16}


def test_no_options_make_no_filters() -> None:
    assert Constraints().filters(TOKENIZER, no_index) == ([], None)


def test_each_option_makes_its_filter_and_a_pattern_comes_last(run: Run) -> None:
    model = loaded(run)
    bias = amounts(["a=1"])
    asked = Constraints(ban=("cat",), allow="acest \n", bias=bias, pattern="[a-z ]+", no_copy=5)
    made, ends = asked.filters(model.tokenizer, index_of(model))
    assert [type(rule) for rule in made[1:]] == [
        AllowConstraint,
        BanConstraint,
        NoCopyConstraint,
        RegexConstraint,
    ]
    assert len(made) == 5
    assert ends == made[-1].ends  # type: ignore[attr-defined]
    assert ends is not None


def test_every_generation_has_filters_of_its_own() -> None:
    asked = Constraints(ban=("a",), pattern="b+")
    first, second = asked.filters(TOKENIZER, no_index), asked.filters(TOKENIZER, no_index)
    assert not {id(rule) for rule in first[0]} & {id(rule) for rule in second[0]}


def test_allowing_rules_out_the_other_characters() -> None:
    made, ends = Constraints(allow="cat ").filters(TOKENIZER, no_index)
    assert ends is None
    left = changes(made)
    assert set(left.values()) == {-np.inf}
    assert set(left) == set(TEXT) - set("cat ")


def test_a_bias_is_added() -> None:
    made, _ = Constraints(bias=amounts(["a=2.5", "e=-3"])).filters(TOKENIZER, no_index)
    assert changes(made) == {"a": 2.5, "e": -3.0}


@pytest.mark.parametrize(
    ("given", "text", "amount"),
    [("a=0.5", "a", 0.5), ("\n=-1", "\n", -1.0), (" =1e6", " ", 1e6), ("a=-1000000", "a", -1e6)],
)
def test_amounts_are_read_up_to_their_bounds(given: str, text: str, amount: float) -> None:
    made, _ = Constraints(bias=amounts([given])).filters(TOKENIZER, no_index)
    assert changes(made) == {text: amount}


def test_an_equals_sign_can_have_a_bias() -> None:
    tokenizer = smallest_checkpoint(training=False, tokenizer="byte").tokenizer
    made, _ = Constraints(bias=amounts(["==5"])).filters(tokenizer, no_index)
    left = made[0](np.zeros((1, 256), np.float32), Context(np.array([[-1]])))
    assert np.flatnonzero(left).tolist() == [ord("=")]


def test_the_last_of_two_amounts_counts() -> None:
    made, _ = Constraints(bias=amounts(["a=1", "a=2"])).filters(TOKENIZER, no_index)
    assert changes(made) == {"a": 2.0}


def test_a_bias_does_not_allow_what_is_not_allowed() -> None:
    made, _ = Constraints(allow="at", bias=amounts(["c=100", "a=1"])).filters(TOKENIZER, no_index)
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
        Constraints(bias=amounts([given])).filters(TOKENIZER, no_index)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (Constraints(allow=""), "--allow leaves nothing"),
        (Constraints(allow="é"), "--allow leaves nothing"),
        (Constraints(ban=("",)), "--ban leaves nothing"),
        (Constraints(pattern="("), "--regex cannot be read"),
    ],
)
def test_a_constraint_that_cannot_be_satisfied_is_a_usage_error(
    asked: Constraints, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        asked.filters(TOKENIZER, no_index)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_all_constraints_are_satisfied_at_once(name: str, tmp_path: Path) -> None:
    model = loaded(tiny_run(tmp_path, name))
    letters = "Thecatmildrsonuw ,.!\n"
    asked = Constraints(ban=("at",), allow=letters, bias=amounts(["\n=1"]), no_copy=15)
    rules, _ = asked.filters(model.tokenizer, index_of(model))
    text = written(model.tokenizer, noise(model.tokenizer.vocab_size), rules, 120)
    assert len(text) > 60
    assert set(text) <= set(letters)
    assert "at" not in text
    assert not any(text[i : i + 16] in TEXT for i in range(len(text) - 15))


def generated(model: LanguageModel, constraints: Constraints) -> str:
    """A short sample under constraints."""
    starts = [begin(model.tokenizer, "")]
    chunks = model.generate(starts, SamplingParams(length=5), constraints=constraints)
    return "".join(chunk.text for chunk in chunks)


def test_a_model_without_its_corpus_cannot_say_what_is_a_copy(run: Run, tmp_path: Path) -> None:
    path = run.pick("latest").path
    alone = tmp_path / "alone.safetensors"
    shutil.copy(path, alone)
    with pytest.raises(
        CorpusError, match=r"text of .*alone\.safetensors is not next to it; leave --"
    ):
        generated(loaded(run, alone), Constraints(no_copy=9))
    (run.corpus_folder / "train.npy").unlink()
    with pytest.raises(CorpusError, match="is not next to it; leave --no-copy out"):
        generated(loaded(run), Constraints(no_copy=9))


def test_only_no_copy_needs_the_corpus() -> None:
    asked = Constraints(ban=("x",), allow="abc", bias=amounts(["a=1"]), pattern="a")
    made, _ = asked.filters(TOKENIZER, no_index)
    assert len(made) == 4
