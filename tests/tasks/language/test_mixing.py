"""A network mixed with n-gram models: fitted apart, saved in one file, the same for all readers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn import api
from charrnn.checkpoints import checkpoint, mixture
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.mixture import Mixture
from charrnn.checkpoints.run import Run
from charrnn.data.config import DataConfig
from charrnn.errors import CheckpointError, CorpusError, UsageError
from charrnn.evaluation.activations import activations_of
from charrnn.inference import state_file
from charrnn.inference.engine import Engine
from charrnn.inference.generation import SamplingParams, begin
from charrnn.inference.mixed_engine import MixedEngine
from charrnn.inference.ngram_model import sorted_followers
from charrnn.tasks.language.corpus import prepare
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tasks.language.mixing import (
    CHARACTERS,
    LISTS,
    WORDS,
    Choice,
    best_orders,
    choice_for,
    fit,
    seconds,
)
from tests.support import forge
from tests.support.shell import Shell, sentences
from tests.support.tiny import TEXT, tiny_checkpoint, tiny_tokenizer

SIZES: dict[str, Any] = {"hidden_size": 24, "num_layers": 1, "embedding_size": 8, "dropout": 0.0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was trained for a moment and mixed."""
    folder = tmp_path_factory.mktemp("mix")
    source = folder / "text.txt"
    source.write_text(sentences(12_000))
    return charrnn.train(source, runs_dir=folder, mix="ngram", steps=60, threads=1, **SIZES)


@pytest.fixture(scope="module")
def model(run: Run) -> LanguageModel:
    """The mixed model of that run."""
    return api.load(run, threads=1)


def mixed(seed: int = 0, orders: tuple[int, ...] = (2, 4), **fields: Any) -> Checkpoint:
    """A checkpoint of random weights, mixed with the n-grams of TEXT."""
    plain = tiny_checkpoint(training=False, **fields)
    tokens = plain.tokenizer.encode(TEXT)
    weights = (0.8, *(0.1 * (k + 1) for k in range(len(orders))))
    return replace(
        plain, mixture=Mixture(sorted_followers(tokens, max(orders) - 1), orders, weights)
    )


def test_a_mixture_predicts_held_out_text_better_than_the_network(model: LanguageModel) -> None:
    plain = api.load(model.path, mix="none")
    assert plain.checkpoint.mixture is None
    assert model.evaluate().value < plain.evaluate().value - 0.05
    assert model.score("The cat sat.").nats != plain.score("The cat sat.").nats


def test_the_n_grams_in_the_end_are_those_of_all_that_is_not_validated_on(
    model: LanguageModel,
) -> None:
    corpus, mixture = model.corpus, model.checkpoint.mixture
    assert mixture is not None
    assert corpus is not None
    parts = np.concatenate([corpus.splits[name].load() for name in ("train", "tuning")])
    assert (np.sort(mixture.followers) == np.sort(parts)).all()


def test_the_probabilities_of_a_mixture_sum_to_one(model: LanguageModel) -> None:
    text = "a house"
    size = model.tokenizer.vocab_size
    logits, _ = model.engine.read_prompt(
        model.tokenizer.encode(text)[:, None], model.engine.zero_state(1)
    )
    assert logits.shape == (1, size)
    assert np.isfinite(logits).all()


def test_the_tuning_part_is_neither_trained_on_nor_validated_on(tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    source.write_text(sentences(9_000))
    plain = prepare(DataConfig((str(source),)), tmp_path / "plain")
    apart = prepare(DataConfig((str(source),), mix="ngram"), tmp_path / "apart", plain.tokenizer)
    parts = {name: split.load() for name, split in apart.splits.items()}
    assert set(parts) == {"train", "tuning", "valid"}
    assert (parts["valid"] == plain.splits["valid"].load()).all()
    whole = plain.splits["train"].load()
    assert len(parts["tuning"]) == 448
    # Four pieces of 112 characters, in the middle of each quarter of what is otherwise trained on.
    middles = [len(whole) * (2 * n + 1) // 8 + 112 // 2 for n in range(4)]
    apart_at = np.concatenate([np.arange(middle - 112, middle) for middle in middles])
    assert (parts["tuning"] == whole[apart_at]).all()
    assert (parts["train"] == np.delete(whole, apart_at)).all()


def test_a_text_that_is_too_short_for_a_tuning_part_says_so(tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    source.write_text("".join(f"{2**60 + n // 2}\n" for n in range(10)))
    with pytest.raises(CorpusError, match="too short to keep a part for n-gram models"):
        prepare(DataConfig((str(source),), tokenizer="word", mix="ngram"), tmp_path / "apart")


def test_of_documents_the_validation_part_stays_the_same(tmp_path: Path) -> None:
    source = tmp_path / "names.txt"
    source.write_text("".join(f"name{i * 7919 % 1000}\n" for i in range(400)))
    config = DataConfig((str(source),), documents="line").for_new_run()
    plain = prepare(config, tmp_path / "plain")
    apart = prepare(replace(config, mix="ngram"), tmp_path / "apart", plain.tokenizer)
    assert (apart.splits["valid"].load() == plain.splits["valid"].load()).all()
    assert apart.size("train") + apart.size("tuning") == plain.size("train")
    assert apart.size("tuning") > 0


def test_a_mixed_checkpoint_comes_back_in_every_bit(tmp_path: Path) -> None:
    model = mixed()
    assert model.mixture is not None
    path = tmp_path / "model.safetensors"
    checkpoint.save(model, path)
    found = checkpoint.load(path)
    assert found.mixture is not None
    assert found.mixture.to_json() == model.mixture.to_json()
    assert (found.mixture.followers == model.mixture.followers).all()
    again = tmp_path / "again.safetensors"
    checkpoint.save(found, again)
    assert again.read_bytes() == path.read_bytes()
    assert forge.draft(path).info["format"] == 3


def test_without_a_mixture_files_are_as_before(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    checkpoint.save(replace(mixed(), mixture=None), path)
    assert forge.draft(path).info["format"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": 0},
        {"tokens": -5},
        {"tokens": 10**12},
        {"tokens": True},
        {"width": 3},
        {"orders": []},
        {"orders": [4, 2]},
        {"orders": [2, 4000]},
        {"orders": [2, "4"]},
        {"weights": [1.0]},
        {"weights": [1.0, 2.0, 1e9]},
        {"weights": [1.0, 2.0, None]},
        {"more": 1},
    ],
)
def test_a_forged_mixture_is_refused(change: dict[str, Any]) -> None:
    known = mixed().mixture
    assert known is not None
    with pytest.raises(CheckpointError, match="its mixture"):
        mixture.checked(known.to_json() | change, 2**24)


def test_ids_that_the_tokenizer_lacks_are_refused(tmp_path: Path) -> None:
    model = mixed()
    assert model.mixture is not None
    wrong = model.mixture.followers.copy()
    wrong[3] = model.tokenizer.vocab_size
    path = tmp_path / "model.safetensors"
    checkpoint.save(replace(model, mixture=replace(model.mixture, followers=wrong)), path)
    with pytest.raises(CheckpointError, match="ids that its tokenizer does not have"):
        checkpoint.load(path)


@pytest.mark.parametrize("reset", [False, True])
def test_reading_and_stepping_agree(reset: bool) -> None:
    model = mixed(reset_id=tiny_tokenizer().start_id if reset else -1)
    assert model.mixture is not None
    engine = MixedEngine(Engine(model, 1), model.mixture)
    ids = model.tokenizer.encode(TEXT * 3)[:150].astype(np.int64)
    if reset:
        ids[[40, 90]] = model.config.reset_id
    rows = np.stack([ids, ids[::-1]], axis=1)
    read, after = engine.read(rows, engine.zero_state(2))
    state, stepped = engine.zero_state(2), []
    for each in rows:
        logits, state = engine.step(each, state)
        stepped.append(logits)
    np.testing.assert_allclose(read, np.stack(stepped), atol=2e-5)
    for one, other in zip(after, state, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_a_document_is_predicted_as_if_nothing_stood_before_it() -> None:
    model = mixed(reset_id=tiny_tokenizer().start_id)
    assert model.mixture is not None
    engine = MixedEngine(Engine(model, 1), model.mixture)
    start = model.config.reset_id
    ids = model.tokenizer.encode(TEXT)[:30].astype(np.int64)
    alone = engine.read(np.array([start, *ids])[:, None], engine.zero_state(1))[0]
    later = engine.read(np.array([*ids, start, *ids])[:, None], engine.zero_state(1))[0]
    np.testing.assert_allclose(later[30:], alone, atol=2e-5)


def test_a_state_file_continues_a_mixed_text_exactly(model: LanguageModel, tmp_path: Path) -> None:
    params = SamplingParams(length=60, seed=3, resumable=True)
    whole = "".join(c.text for c in model.generate([begin(model.tokenizer, "The")], params))
    half = replace(params, length=25)
    chunks = list(model.generate([begin(model.tokenizer, "The")], half))
    end = chunks[-1].end
    assert end is not None
    path = tmp_path / "end.state"
    state_file.save(path, end, 3, model.checkpoint)
    start, seed = state_file.load(path, model.checkpoint)
    rest = "".join(c.text for c in model.generate([start], replace(params, length=35, seed=seed)))
    assert "".join(c.text for c in chunks) + rest == whole
    with pytest.raises(CheckpointError, match="of another model"):
        state_file.load(path, api.load(model.path, mix="none").checkpoint)


def test_every_constraint_holds_in_a_mixture(model: LanguageModel) -> None:
    text = model.sample("The ", length=120, seed=1, ban="the", top_k=5)
    assert "the" not in text
    assert model.sample("The ", length=40, seed=1, known_words=True)
    assert model.sample("The ", length=20, beam=3)


def test_many_samples_are_those_of_one_by_one(model: LanguageModel) -> None:
    params = SamplingParams(length=50, seed=5)
    starts = [begin(model.tokenizer, "The") for _ in range(12)]
    together: dict[int, str] = {}
    for chunk in model.generate(starts, params, tuple(range(12))):
        together[chunk.index] = together.get(chunk.index, "") + chunk.text
    for index in (0, 7):
        one = model.generate([begin(model.tokenizer, "The")], params, (index,))
        assert "".join(c.text for c in one) == together[index]


def test_mixtures_write_together_and_in_int8(model: LanguageModel) -> None:
    assert charrnn.blend([model, model]).sample("The", length=10, seed=1)
    assert api.load(model.path, precision="int8").sample("The", length=10, seed=1)


def test_a_mix_that_is_not_there_is_an_error(model: LanguageModel, tmp_path: Path) -> None:
    plain = tmp_path / "plain.safetensors"
    checkpoint.save(replace(model.checkpoint, mixture=None), plain)
    with pytest.raises(UsageError, match="no n-gram models"):
        api.load(plain, mix="ngram")
    with pytest.raises(UsageError, match="there is no mix"):
        api.load(plain, mix="5-gram")


def test_the_fitted_weights_are_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(8_000, 2, 5)).astype(np.float32)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    p = np.exp(0.7 * logs[:, 0] + 0.4 * logs[:, 1])
    drawn = np.array([rng.choice(5, p=row / row.sum()) for row in p])
    found = fit(logs, drawn, [1.0, 0.0])

    def loss(weights: Any) -> float:
        mixed = np.einsum("k,tkv->tv", weights, logs)
        chosen = mixed[np.arange(8_000), drawn]
        return float((np.log(np.exp(mixed).sum(-1)) - chosen).sum())

    np.testing.assert_allclose(found, [0.7, 0.4], atol=0.15)
    for change in ([0.2, 0], [-0.2, 0], [0, 0.2], [0, -0.2]):
        assert loss(found) < loss(found + np.array(change))


@pytest.mark.parametrize("usual", [(1.0, 0.0), (0.6, 0.3)])
def test_few_tokens_leave_the_weights_as_usual(usual: tuple[float, ...]) -> None:
    logs = np.log(np.full((2, 2, 4), 0.25, np.float32))
    logs[:, 1] = np.log([0.97, 0.01, 0.01, 0.01])
    np.testing.assert_allclose(fit(logs, np.zeros(2, int), usual), usual, atol=0.05)


def test_a_text_that_n_grams_know_nothing_of_is_left_to_the_network() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4, 5)).astype(np.float32)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    drawn = np.array([rng.choice(5, p=row / row.sum()) for row in np.exp(logs[:, 0])])
    np.testing.assert_allclose(fit(logs, drawn, CHARACTERS.usual), [1, 0, 0, 0], atol=0.05)


@pytest.mark.parametrize("gain", [False, True])
def test_a_longer_order_takes_the_place_of_the_longest_where_it_helps(gain: bool) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 5, 20_000)
    logits = rng.normal(size=(20_000, 5, 5)).astype(np.float32)
    if gain:
        logits[np.arange(20_000), 4, drawn] += 1
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    orders, weights, likelihood = best_orders(logs.copy(), drawn, CHARACTERS)
    assert orders == ((4, 6, CHARACTERS.longer) if gain else CHARACTERS.orders)
    columns = [0, 1, 2, 4 if gain else 3]
    expected = fit(logs[:, columns], drawn, CHARACTERS.usual)
    np.testing.assert_allclose(weights, expected)
    mixed = np.einsum("k,tkv->tv", weights, logs[:, columns])
    chosen = mixed[np.arange(20_000), drawn] - np.log(np.exp(mixed).sum(-1))
    np.testing.assert_allclose(likelihood, chosen.sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("tokenizer", "reset_id", "expected"),
    [
        ("char", -1, CHARACTERS),
        ("char", 0, LISTS),
        ("byte", 0, LISTS),
        ("char", 7, CHARACTERS),
        ("word", 0, WORDS),
        ("subword", -1, WORDS),
    ],
)
def test_the_usual_weights_are_those_of_the_kind_of_text(
    tokenizer: str, reset_id: int, expected: Choice
) -> None:
    # Documents of eight tokens begin with 0, one of four hundred with 7.
    tokens = np.tile(np.array([0, 1, 2, 1, 2, 3, 3, 1], np.uint8), 50)
    tokens[200] = 7
    assert choice_for(tokenizer, tokens, reset_id) is expected


def test_the_time_for_fitting_grows_with_what_is_read_and_sorted() -> None:
    assert seconds(0, 10**6) == 0
    assert 0 < seconds(500, 10**5) < seconds(20_000, 10**5) < seconds(20_000, 10**7)
    # No more is read or counted than these.
    assert seconds(10**6, 10**9) == seconds(10**5, 2**24)


def test_the_commands_know_the_mixture(run: Run, shell: Shell) -> None:
    name = str(run.folder)
    mixed = shell.run("evaluate", name).out
    assert mixed != shell.run("evaluate", name, "--mix", "none").out
    shell.run("evaluate", name, "--device", "cpu").failed(2, "--device has no effect")
    shell.run("score", name, shell.folder / "corpus.txt", "--mix", "ngram").succeeded()
    assert "orders" in shell.run("checkpoints", "show", name).succeeded().out
    target = shell.folder / "x.onnx"
    exported = shell.run("checkpoints", "export", name, "--output", target).succeeded()
    assert "without the n-gram models" in exported.err


def test_a_run_that_goes_on_is_mixed_again(tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    source.write_text(sentences(6_000))
    asked: dict[str, Any] = {"runs_dir": tmp_path, "threads": 1, **SIZES}
    run = charrnn.train(source, mix="ngram", steps=10, **asked)
    first = api.load(run, checkpoint="latest").checkpoint
    run = charrnn.resume(run, more_steps=10)
    second = api.load(run, checkpoint="latest").checkpoint
    assert first.mixture is not None
    assert second.mixture is not None
    assert second.info.step == 20
    assert first.mixture.weights != second.mixture.weights


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_units_of_a_mixture_are_those_of_the_network(cell: str) -> None:
    model = mixed(cell=cell)
    assert model.mixture is not None
    plain = Engine(model, 1)
    both = MixedEngine(plain, model.mixture)
    ids = model.tokenizer.encode(TEXT)[:5][:, None].astype(np.int64)
    alone, together = (each.read(ids, each.zero_state(1))[1] for each in (plain, both))
    found = activations_of(model.config, together)
    assert (found == activations_of(model.config, alone)).all()
