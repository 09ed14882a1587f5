"""What single units follow: networks built by hand, whose answer is known."""

from functools import cache

import numpy as np
import pytest

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluation import activations, neurons
from charrnn.evaluation.neurons import Neurons
from charrnn.evaluation.text_features import Feature
from charrnn.inference.engine import Engine
from charrnn.inference.steering import parse_unit
from charrnn.tokenizers import TOKENIZERS
from tests.support.quotes import CHARS, TEXT, quote_checkpoint, random_checkpoint
from tests.support.tiny import random_weights, smallest_checkpoint, tiny_model


@cache
def found_in(cell: str, layers: int = 1) -> Neurons:
    made = quote_checkpoint(cell, layers)
    return neurons.neurons(made, Engine(made, 1), CHARS.encode(TEXT), threads=1)


@pytest.mark.parametrize(("cell", "layers"), [("rnn", 1), ("gru", 1), ("lstm", 1)])
def test_a_unit_that_is_inside_quotes_is_ranked_first_with_all_bits_of_the_feature(
    cell: str, layers: int
) -> None:
    best = found_in(cell, layers).found[0]
    assert (str(best.unit), best.feature) == ("1:3", "inside quotes")
    assert best.bits == pytest.approx(best.entropy, abs=0.03)
    assert best.learned
    assert best.bits > 10 * max(best.shuffled, best.chance)
    assert best.means["inside"] > 0.7
    assert best.means["outside"] < 0 < best.means["inside"]


def test_the_figures_of_a_unit_are_at_hand() -> None:
    found = found_in("rnn")
    assert next(iter(found.follows("1:3"))) == "inside quotes"
    activation = found.activation("1:3")
    assert len(activation) == len(CHARS.encode(TEXT))
    inside = (
        np.array([c == "“" for c in TEXT]).cumsum() > np.array([c == "”" for c in TEXT]).cumsum()
    )
    assert ((activation > 0) == inside)[TEXT.index("“") :].all()
    assert "key of the tune" in found.absent
    data = found.found[0].to_json()
    assert data["unit"] == "1:3"
    assert set(data["means"]) == {"inside", "outside"}


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_random_network_has_learned_nothing_of_what_lies_far_back(cell: str) -> None:
    made = random_checkpoint(cell)
    found = neurons.neurons(made, Engine(made, 1), CHARS.encode(TEXT), threads=1)
    assert "inside quotes" not in {each.feature for each in found.learned}


def test_what_has_nothing_to_do_with_the_text_is_not_above_chance() -> None:
    random = np.random.default_rng(3)
    tokens = random.integers(0, CHARS.vocab_size, 6000)
    marks = random.integers(0, 2, 6000).astype(np.uint8)
    slow = np.repeat(random.integers(0, 2, 60), 100).astype(np.uint8)
    made = random_checkpoint("lstm")
    reading = activations.read(Engine(made, 1), CHARS, tokens)
    for classes in (marks, slow):
        feature = Feature("random", classes, ("no", "yes"))
        halves = neurons._halves(6000)
        here, there = (neurons._bits(reading.activations, [feature], h)[0] for h in halves)
        best = int(here.argmax())
        chance = neurons._chance(reading.activations[halves[1], best], classes[halves[1]])
        assert there[best] < chance


def test_information_is_that_of_the_counts() -> None:
    same = np.array([[1000.0, 0], [0, 1000]])[..., None]
    apart = np.array([[500.0, 500], [500, 500]])[..., None]
    three = np.array([[1000.0, 0, 0], [0, 500, 0], [0, 0, 500]])[..., None]
    assert neurons.information(same)[0] == pytest.approx(1, abs=1e-3)
    assert neurons.information(apart)[0] == pytest.approx(0, abs=1e-3)
    assert neurons.information(three)[0] == pytest.approx(1.5, abs=2e-3)


def test_a_text_read_in_pieces_is_read_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = quote_checkpoint("gru", 2)
    ids = CHARS.encode(TEXT)
    pieces = activations.read(Engine(made, 1), CHARS, ids, guesses=True)
    monkeypatch.setattr(activations, "PIECES", 1)
    whole = activations.read(Engine(made, 1), CHARS, ids, guesses=True)
    assert pieces.text == whole.text == TEXT
    assert pieces.is_whole
    assert np.abs(pieces.activations.astype(float) - whole.activations).max() < 0.02
    assert np.abs(pieces.surprise - whole.surprise).max() < 0.05
    assert whole.guesses.shape == (len(ids), 5)
    assert (np.diff(whole.probabilities, axis=1) <= 0).all()


def test_surprise_and_guesses_are_those_of_the_place_before_it_is_read() -> None:
    made = random_checkpoint("gru")
    ids = CHARS.encode(TEXT[:50]).astype(np.int64)
    engine = Engine(made, 1)
    reading = activations.read(engine, CHARS, ids, guesses=True)
    logits, _ = engine.read(
        np.concatenate([[CHARS.start_id], ids[:-1]])[:, None], engine.zero_state(1)
    )
    shares = np.exp(logits[:, 0] - logits[:, 0].max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    assert reading.surprise == pytest.approx(-np.log2(shares[np.arange(50), ids]), abs=1e-3)
    assert (reading.guesses[:, 0] == shares.argmax(1)).all()
    assert reading.probabilities[:, 0] == pytest.approx(shares.max(1), abs=1e-4)


def test_a_longer_text_is_read_in_evenly_spread_pieces() -> None:
    made = random_checkpoint("rnn")
    ids = CHARS.encode(TEXT)
    reading = activations.read(Engine(made, 1), CHARS, ids, limit=2048)
    assert not reading.is_whole
    assert reading.pieces == (0, 1024)
    assert (reading.total, len(reading.tokens)) == (len(ids), 2048)
    assert reading.text == TEXT[:1024] + TEXT[len(TEXT) - 1024 :]
    assert (ids[reading.origins] == reading.tokens).all()


@pytest.mark.parametrize("tokenizer", ["byte", "word", "subword"])
def test_every_tokenizer_has_its_tokens_placed_in_the_text(tokenizer: str) -> None:
    text = "Der Müller saß “am Bach”.\nÖde 日本 Tage, sagte er.\n" * 20
    size = 300 if tokenizer == "subword" else None
    own = TOKENIZERS[tokenizer].train([text], vocab_size=size)
    model = tiny_model("gru", vocab_size=own.vocab_size)
    made = Checkpoint(model, own, random_weights(model), CheckpointInfo(0, 0.0, {}))
    found = neurons.neurons(made, Engine(made, 1), own.encode(text), threads=1)
    assert found.reading.text == text
    places = found.reading.places
    assert places[-1] == len(text) - 1
    assert (np.diff(places) >= 0).all()
    assert "inside quotes" in {feature.name for feature in found.features}


@pytest.mark.parametrize(
    "text", ["", "1", "1:", ":1", "a:1", "1:x", "0:1", "3:1", "1:0", "1:9", "²:1"]
)
def test_what_is_no_unit_of_the_model_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="unit"):
        parse_unit(text, tiny_model())


def test_units_are_counted_from_one_in_every_layer() -> None:
    model = tiny_model(tie_weights=True, embedding_size=4)
    units = activations.units_of(model)
    assert [str(unit) for unit in (units[0], units[8], units[-1])] == ["1:1", "2:1", "2:4"]
    assert len(units) == 12


def test_a_text_that_is_too_short_is_refused() -> None:
    made = smallest_checkpoint()
    with pytest.raises(CorpusError, match="too few"):
        neurons.neurons(made, Engine(made, 1), made.tokenizer.encode("The cat."), threads=1)
    with pytest.raises(CorpusError, match="empty"):
        neurons.neurons(made, Engine(made, 1), made.tokenizer.encode(""), threads=1)
