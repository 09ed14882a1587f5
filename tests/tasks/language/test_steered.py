"""A model with units held or pushed: what it writes, with labels, and the effect of a unit."""

from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.mixture import Mixture
from charrnn.errors import UsageError
from charrnn.inference.mixed_engine import MixedEngine
from charrnn.inference.ngram_model import sorted_followers
from charrnn.tasks.language import steered
from charrnn.tasks.language.language_model import LanguageModel
from tests.support.quotes import CLOSE, OPEN, quote_checkpoint
from tests.support.shell import Shell


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """A model whose unit 1:3 is inside quotes, and that closes only what is open."""
    made = quote_checkpoint("gru")
    output = made.weights["output.weight"] * 0
    output[CLOSE, 2], output[OPEN, 2] = 4, -4
    made.weights["output.weight"] = output
    path = tmp_path_factory.mktemp("steered") / "quotes.safetensors"
    checkpoint.save(made, path)
    return LanguageModel(made, path, threads=1)


def test_a_unit_decides_what_is_written(model: LanguageModel) -> None:
    inside = model.steered("1:3=1").sample("“a", length=200, seed=1)
    outside = model.steered("1:3==-1").sample("“a", length=200, seed=1)
    assert inside.count("”") > 40 > 5 > inside.count("“")
    assert outside.count("“") > 40 > 5 > outside.count("”")
    assert repr(model.steered("1:3==-1")) == "<Steered quotes: 1:3==-1>"


def test_a_text_that_is_continued_is_that_of_one_piece(model: LanguageModel) -> None:
    own = model.steered("1:3=+0.3")
    whole = own.sample("a cat", length=80, seed=5)
    assert own.sample("a cat", length=80, seed=5) == whole
    assert model.sample("a cat", length=80, seed=5) != whole


def test_scores_are_those_of_the_steered_model(model: LanguageModel) -> None:
    text = "””””"
    assert model.steered("1:3=1").score(text).nats < model.steered("1:3==-1").score(text).nats


def test_the_effect_is_measured_with_its_error(model: LanguageModel) -> None:
    found = {each.name: each for each in steered.effect(model, "1:3", samples=8, length=200)}
    quotes = found["line ends, %"]
    assert list(quotes.values) == ["without", "1:3==-1", "1:3=1"]
    own = steered.effect(
        model, "1:3=1", samples=8, length=200, features={"closing": "”", "none": "QQ"}
    )
    closing = next(each for each in own if each.name == "closing, %")
    assert closing.values["1:3=1"][0] > 20
    assert closing.differs("1:3=1", "without")
    none = next(each for each in own if each.name == "none, %")
    assert none.values["without"] == (0.0, 0.0)
    assert not none.differs("1:3=1", "without")


def test_a_steered_model_is_not_steered_again_or_looked_into(model: LanguageModel) -> None:
    own = model.steered("1:3=1")
    with pytest.raises(UsageError, match="not a single network"):
        own.steered("1:2=1")
    with pytest.raises(UsageError, match="not a single network"):
        own.neurons(text="a" * 300)


def test_the_commands_steer(model: LanguageModel) -> None:
    shell = Shell(Path(model.path).parent)
    words = ("sample", "quotes.safetensors", "--seed", "1", "--length", "200", "--threads", "1")
    (found,) = shell.run(*words, "--steer", "1:3=1", "--steer", "1:2=+0.1", "--json").json
    assert found["settings"]["steer"] == ["1:3=1", "1:2=+0.1"]
    assert found["text"].count("”") > 40
    assert "has no effect on a blend" in shell.run(
        "sample", "quotes.safetensors", "quotes.safetensors", "--blend", "1,1", "--steer", "1:3=1"
    ).failed(2)
    assert "there is no unit 2:1" in shell.run(*words, "--steer", "2:1=1").failed(2)
    effect = ("neurons", "quotes.safetensors", "--effect", "1:3", "--threads", "1")
    done = shell.run(*effect).succeeded()
    assert done.out.split()[:5] == ["32", "texts", "without", "1:3==-1", "1:3=1"]
    assert "*" in done.out
    figures = shell.run(*effect, "--json").succeeded().json
    assert set(figures[0]["values"]) == {"without", "1:3==-1", "1:3=1"}
    assert "--top has no effect with --effect" in shell.run(*effect, "--top", "3").failed(2)


def test_a_mixture_is_steered_in_its_network(model: LanguageModel) -> None:
    followers = sorted_followers(model.tokenizer.encode("the old “cat” sat\n" * 20), 1)
    made = replace(model.checkpoint, mixture=Mixture(followers, (2,), (1.0, 0.3)))
    mixed = LanguageModel(made, model.path, threads=1).steered("1:3=1")
    assert isinstance(mixed.engine, MixedEngine)
    assert mixed.sample("“a", length=60, seed=1) != model.steered("1:3=1").sample(
        "“a", length=60, seed=1
    )


def test_a_text_without_the_end_of_a_line_is_one_line() -> None:
    assert steered._figures("abcdef ghi", None)["characters of a line"] == 10
    assert steered._figures("Ab cd. Ef", None)["words of a sentence"] == 1.5
