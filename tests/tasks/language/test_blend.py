"""Blends: the weighted mean of log-probabilities, and every way in which models do not fit."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn import api
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.errors import CorpusError, UsageError
from charrnn.inference import state_file
from charrnn.inference.generation import SamplingParams, begin
from charrnn.inference.sampling import log_softmax
from charrnn.inference.word_automaton import find_words
from charrnn.tasks.language.blend import Blend, checked_weights
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tokenizers import TOKENIZERS
from charrnn.tokenizers.documents import DocumentTokenizer
from tests.support.tiny import TEXT, random_weights, smallest_checkpoint, tiny_model, tiny_run


def model_of(text: str, name: str = "char", seed: int = 0, **changes: Any) -> LanguageModel:
    """A model of random weights with the tokens of a text."""
    tokenizer = TOKENIZERS[name].train([text], vocab_size=300 if name == "subword" else None)
    tokenizer.learn_floor(tokenizer.encode(text))
    if changes.pop("documents", False):
        tokenizer = DocumentTokenizer(tokenizer)
    config = tiny_model(vocab_size=tokenizer.vocab_size, **changes)
    made = smallest_checkpoint(training=False)
    checkpoint = Checkpoint(config, tokenizer, random_weights(config, seed), made.info)
    return LanguageModel(checkpoint, Path(f"{seed}.safetensors"), threads=1)


def logprobs(model: LanguageModel, text: str) -> dict[str, float]:
    """The log-probability of each character that a model can write after a text."""
    ids = begin(model.tokenizer, text).ids
    engine = model.engine
    logits = engine.read_prompt(ids[:, None], engine.zero_state(1))[0].copy()
    logits[:, model.tokenizer.unsampled] = -np.inf
    found = log_softmax(logits)[0]
    kept = np.flatnonzero(np.isfinite(found)).tolist()
    return {model.tokenizer.decode([i]): float(found[i]) for i in kept}


def test_a_blend_is_the_weighted_mean_of_log_probabilities() -> None:
    models = [model_of("abcd\n"), model_of("dcba\n", seed=1, hidden_size=12, cell="gru")]
    blend = Blend(models, [3, 1])
    first, second = (logprobs(model, "abca") for model in models)
    raw = {c: 0.75 * first[c] + 0.25 * second[c] for c in first}
    total = math.log(sum(map(math.exp, raw.values())))
    expected = {c: value - total for c, value in raw.items()}
    assert logprobs(blend, "abca") == pytest.approx(expected, abs=1e-5)
    tokens, found = blend.log_probabilities("abcab")
    assert len(tokens) == len(found) == 5


def test_a_model_with_itself_is_the_model() -> None:
    model = model_of(TEXT)
    blend = Blend([model, model], [0.2, 0.8])
    assert blend.sample("The", length=40, seed=3) == model.sample("The", length=40, seed=3)
    assert blend.score(TEXT[:90]).nats == pytest.approx(model.score(TEXT[:90]).nats, rel=1e-5)


def test_a_character_that_one_lacks_gets_its_least_and_is_not_read_by_it() -> None:
    latin, greek = model_of("ab\n"), model_of("αβ\n", seed=1)
    blend = Blend([latin, greek])
    own = logprobs(latin, "")
    raw = {c: 0.5 * own.get(c, min(own.values())) for c in "abαβ\n"}
    other = logprobs(greek, "")
    raw = {c: raw[c] + 0.5 * other.get(c, min(other.values())) for c in raw}
    total = math.log(sum(map(math.exp, raw.values())))
    assert logprobs(blend, "") == pytest.approx({c: v - total for c, v in raw.items()}, abs=1e-5)
    # What the other writes changes nothing of the first.
    member = blend.engine.members[0]  # type: ignore[attr-defined]
    ids = blend.tokenizer.encode("aαβ").astype(np.int64)
    state = member.zero_state(1)
    states = []
    for token in ids:
        state = member.step(np.array([token]), state)
        states.append(state)
    assert all((a == b).all() for a, b in zip(states[0], states[2], strict=True))


def test_a_sequence_is_read_as_it_is_stepped() -> None:
    blend = Blend([model_of("ab\n"), model_of("bc\n", seed=1)], [1, 2])
    ids = np.array([blend.tokenizer.encode("abcab\nca"), blend.tokenizer.encode("ccc\nabba")])
    ids = ids.T.astype(np.int64)
    state = before = blend.engine.zero_state(2)
    stepped = []
    for row in ids:
        logits, state = blend.engine.step(row, state)
        stepped.append(logits)
    read, after = blend.engine.read(ids, before)
    np.testing.assert_allclose(read, np.stack(stepped), atol=1e-5)
    for one, other in zip(state, after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("name", ["byte", "word", "subword"])
def test_equal_vocabularies_fit(name: str) -> None:
    blend = Blend([model_of(TEXT, name), model_of(TEXT, name, seed=1)])
    text = blend.sample(length=8, seed=1)
    assert text == blend.sample(length=8, seed=1)
    assert (
        blend.tokenizer.encode(TEXT).tolist()
        == model_of(TEXT, name).tokenizer.encode(TEXT).tolist()
    )


def test_ten_models_and_constraints_and_a_batch() -> None:
    models = [
        model_of("".join(map(chr, range(97 + i, 103 + i))) + " \n", seed=i) for i in range(10)
    ]
    blend = charrnn.blend(models)
    assert len(blend.tokenizer.unsampled) == 16
    assert set(blend.sample(length=30, seed=2, allow="abz")) <= set("abz")
    params = SamplingParams(12, seed=5)
    starts = [begin(blend.tokenizer, "ab")] * 3
    texts = ["", "", ""]
    for chunk in blend.generate(starts, params, range(3)):
        texts[chunk.index] += chunk.text
    for index, text in enumerate(texts):
        alone = blend.generate(starts[:1], params, [index])
        assert "".join(chunk.text for chunk in alone) == text


def test_a_saved_state_goes_on_and_belongs_to_the_weights(tmp_path: Path) -> None:
    models = [model_of("ab\n"), model_of("bcd\n", seed=1)]
    blend = Blend(models, [1, 2])
    start = begin(blend.tokenizer, "a")
    [whole] = [c for c in blend.generate([start], SamplingParams(40, seed=7)) if c.finish]
    texts = "".join(c.text for c in blend.generate([start], SamplingParams(40, seed=7)))
    assert whole.tokens == 40
    first = list(blend.generate([start], SamplingParams(15, seed=7, resumable=True)))
    end = first[-1].end
    assert end is not None
    state_file.save(tmp_path / "x.state", end, 7, blend.checkpoint)
    again, seed = state_file.load(tmp_path / "x.state", blend.checkpoint)
    second = blend.generate([again], SamplingParams(25, seed=seed))
    assert "".join(c.text for c in [*first, *second]) == texts
    with pytest.raises(charrnn.CheckpointError, match="another model"):
        state_file.load(tmp_path / "x.state", Blend(models, [2, 1]).checkpoint)


@pytest.mark.parametrize(
    "weights", [[1], [1, 2, 3], [0, 1], [-1, 2], [math.nan, 1], [math.inf, 1], ["1", 1], [True, 1]]
)
def test_weights_that_say_nothing_are_refused(weights: list[float]) -> None:
    with pytest.raises(UsageError):
        checked_weights(2, weights)


def test_models_that_do_not_fit_are_refused() -> None:
    char = model_of(TEXT)
    with pytest.raises(UsageError, match="two models or more"):
        Blend([char])
    for other, why in (
        (model_of(TEXT, "word"), "a token of one is a char, of the other a word"),
        (model_of(TEXT, documents=True), "an end of their own"),
    ):
        with pytest.raises(UsageError, match=why):
            Blend([char, other])
    with pytest.raises(UsageError, match="their vocabularies differ"):
        Blend([model_of(TEXT, "word"), model_of("the cat\n", "word")])


def test_what_needs_one_text_is_refused_and_the_rest_is_of_all(tmp_path: Path) -> None:
    runs = [tiny_run(tmp_path / "a"), tiny_run(tmp_path / "b", text=TEXT.replace("cat", "dog"))]
    models = [api.load(run, checkpoint="latest", threads=1) for run in runs]
    blend = Blend(models)
    assert {"cat", "dog"} <= set(blend.words())
    found = find_words(
        blend.sample(length=60, seed=1, known_words=True, novel=True).rpartition(" ")[0]
    )
    assert found <= {*blend.words(), *(w[0].upper() + w[1:] for w in blend.words())}
    with pytest.raises(UsageError, match="searches one training text"):
        blend.sample(length=5, no_copy=5)
    with pytest.raises(UsageError, match="only a text in a file"):
        blend.evaluate()
    with pytest.raises(UsageError, match="no file of its own"):
        blend.save(tmp_path / "x.safetensors")
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    assert blend.evaluate(file=path).nats == pytest.approx(blend.score(TEXT).nats, rel=1e-6)
    alone = Blend([model_of(TEXT), model_of(TEXT, seed=1)])
    with pytest.raises(CorpusError):
        alone.sample(length=5, novel=True)
