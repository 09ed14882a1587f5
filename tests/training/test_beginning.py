"""A run that begins with another model: its step 0, its record, resuming, and what is refused."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint, digest
from charrnn.checkpoints.run import Run
from charrnn.errors import CheckpointError, InterruptedTraining, UsageError
from charrnn.training.events import Evaluated, Event, Planned
from charrnn.training.request import make_request
from charrnn.training.session import Hooks, resume_run, start_run
from tests.support.forge import draft
from tests.support.tiny import TEXT, smallest_checkpoint, tiny_checkpoint

OTHER = "Le meunier, son fils et l'âne.\nÉté: où est le chat? Là!\n" * 12
"""A text with characters that TEXT lacks."""

FIT: dict[str, Any] = {
    "steps": 6, "batch_size": 4, "seq_length": 8, "threads": 1, "eval_every": 3, "seed": 5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration that takes no time."""
    monkeypatch.setattr("charrnn.training.planner.calibration.CALIBRATION_SECONDS", 0.0)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """The new text."""
    path = tmp_path / "other.txt"
    path.write_text(OTHER, encoding="utf-8")
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model to begin with, as it is shared."""
    path = tmp_path / "base.safetensors"
    checkpoint.save(tiny_checkpoint(training=False), path)
    return path


def begun(text: Path, base: Path | Run | str, **options: Any) -> Run:
    """A run of six steps that begins with a model."""
    return charrnn.train(
        text, init_from=base, runs_dir=text.parent / "runs", **{**FIT, "keep": 9, **options}
    )


def step(run: Run, number: int) -> Checkpoint:
    return checkpoint.load(run.path_of(number), training=True)


def test_step_0_is_the_other_model_with_rows_for_new_characters(text: Path, base: Path) -> None:
    old, new = checkpoint.load(base), step(begun(text, base), 0)
    size = old.config.vocab_size
    added = new.tokenizer.decode(range(size, new.config.vocab_size))
    assert set(added) == set(OTHER) - set(TEXT)
    for name, array in old.weights.items():
        grown = new.weights[name]
        np.testing.assert_array_equal(grown[:size] if len(grown) != len(array) else grown, array)
    plain: dict[str, Any] = {"dropout": 0.0, "input_dropout": 0.0, "output_dropout": 0.0}
    assert replace(new.config, vocab_size=size, **plain) == replace(old.config, **plain)
    assert new.training
    assert not any(moment.any() for moment in new.training.moments.values())


def test_the_first_evaluation_is_the_other_model_on_the_new_text(text: Path, base: Path) -> None:
    found: list[Event] = []
    run = begun(text, base, on_event=found.append)
    scores = [event for event in found if isinstance(event, Evaluated)]
    assert [event.step for event in scores] == [0, 3, 6]
    assert step(run, 0).info.valid == scores[0].score.value
    assert isinstance(found[0], Planned)
    assert charrnn.load(run, checkpoint="0").evaluate("valid").nats_per_char == pytest.approx(
        scores[0].score.value
    )


def test_a_run_without_validation_begins_with_a_checkpoint_too(text: Path, base: Path) -> None:
    options = {**FIT, "eval_every": None, "valid_fraction": 0.0, "keep": 9}
    assert step(begun(text, base, **options), 0).info.valid is None


@pytest.mark.parametrize(("stop", "optimizer"), [(1, "adamw"), (4, "adamw"), (4, "soap")])
def test_a_stopped_run_is_resumed_to_the_bit_though_the_other_model_is_gone(
    text: Path, base: Path, stop: int, optimizer: str
) -> None:
    whole = begun(text, base, name="whole", optimizer=optimizer)
    asked = 0

    def interrupted() -> int:
        nonlocal asked
        asked += 1
        return 2 if asked == stop else 0

    options = {**FIT, "keep": 9, "optimizer": optimizer}
    request = make_request((str(text),), options, init_from=str(base))
    runs = text.parent / "runs"
    with pytest.raises(InterruptedTraining):
        start_run(request, "cut", runs, hooks=Hooks(interrupted=interrupted))
    base.unlink()
    cut = resume_run("cut", runs)
    for number in (3, 6):
        one, other = step(whole, number), step(cut, number)
        assert digest(one.weights) == digest(other.weights)
        assert one.info.valid == other.info.valid
        assert one.info.origins == other.info.origins != ()


def test_a_run_killed_before_its_first_step_is_resumed_from_step_0(text: Path, base: Path) -> None:
    whole = begun(text, base, name="whole")
    killed = Run(text.parent / "runs" / "killed")
    shutil.copytree(whole.folder, killed.folder)
    for number in (3, 6):
        killed.path_of(number).unlink()
    charrnn.resume(killed)
    assert digest(step(killed, 6).weights) == digest(step(whole, 6).weights)


def test_the_chain_of_models_is_recorded(text: Path, base: Path) -> None:
    first = begun(text, base, name="first")
    second = begun(text, first, name="second")
    best = first.best()
    assert best
    chain = step(second, 6).info.origins
    assert [each["name"] for each in chain] == ["first", "base"]
    assert chain[0]["weights_sha256"] == digest(checkpoint.load(best.path).weights)
    assert chain[1]["weights_sha256"] == digest(checkpoint.load(base).weights)
    assert chain[0]["step"] == best.step
    assert second.description()["origins"] == list(chain)
    assert first.latest().info.corpus.get("origins") is None  # type: ignore[union-attr]


def test_a_run_that_is_named_like_the_one_it_begins_with_is_another(text: Path, base: Path) -> None:
    first = begun(text, base, name="same")
    before = digest(step(first, 6).weights)
    second = begun(text, "same", name="same")
    assert (first.name, second.name) == ("same", "same-2")
    assert digest(step(first, 6).weights) == before


@pytest.mark.parametrize(
    ("option", "value"),
    [("cell", "gru"), ("cell", "lstm"), ("tokenizer", "char"), ("tokenizer", "byte"),
     ("hidden_size", 16), ("num_layers", 1), ("embedding_size", 4), ("vocab_size", 300),
     ("residual", False), ("residual", True), ("tie_weights", True), ("max_parameters", 10**6),
     ("init_scale", 0.1)],
)  # fmt: skip
def test_an_option_that_the_model_decides_is_refused(
    text: Path, base: Path, option: str, value: Any
) -> None:
    name = "--" + option.replace("_", "-")
    with pytest.raises(UsageError, match=f"^{name} has no effect"):
        begun(text, base, **{option: value})
    assert not (text.parent / "runs").exists()


def test_a_preset_is_refused(text: Path, base: Path) -> None:
    with pytest.raises(UsageError, match="--preset has no effect on the model of --from"):
        charrnn.train(text, init_from=base, preset="ptb-small", runs_dir=text.parent / "runs")


def test_an_option_that_does_nothing_to_the_models_tokenizer_is_refused(text: Path) -> None:
    path = text.parent / "bytes.safetensors"
    checkpoint.save(smallest_checkpoint(training=False, tokenizer="byte"), path)
    with pytest.raises(UsageError, match="--min-count has no effect on a byte or subword"):
        begun(text, path, min_count=2)
    with pytest.raises(UsageError, match="--dropout has no effect on a model of one layer"):
        begun(text, path, dropout=0.2)


@pytest.mark.parametrize("tokenizer", ["char", "byte", "word", "subword"])
def test_every_tokenizer_begins_with_and_without_documents(text: Path, tokenizer: str) -> None:
    path = text.parent / "model.safetensors"
    checkpoint.save(smallest_checkpoint(training=False, tokenizer=tokenizer), path)
    text.write_text("".join(f"{n} {OTHER[:60]}\n\n" for n in range(40)), encoding="utf-8")
    run = begun(text, path, steps=1, eval_every=1, documents="blank")
    model = charrnn.load(run)
    assert model.tokenizer.name == tokenizer
    assert model.checkpoint.config.reset_id == model.tokenizer.start_id
    assert model.sample("Le", length=5, seed=1)
    # A text without documents has no id that ends them.
    again = charrnn.load(begun(text, run, steps=1, eval_every=1, name="again"))
    assert again.tokenizer.start_id == again.tokenizer.newline_id
    assert again.checkpoint.config.reset_id == -1
    lines = charrnn.load(begun(text, run, steps=1, eval_every=1, name="lines", documents="line"))
    assert lines.checkpoint.config.reset_id == lines.tokenizer.newline_id


def test_a_damaged_model_leaves_no_run(text: Path, base: Path) -> None:
    raw = bytearray(base.read_bytes())
    raw[-5] ^= 1
    base.write_bytes(raw)
    with pytest.raises(CheckpointError, match="checksum"):
        begun(text, base)
    assert not (text.parent / "runs").exists()


def test_a_model_of_a_newer_format_is_refused(text: Path, base: Path) -> None:
    newer = draft(base)
    newer.info["format"] = 4
    base.write_bytes(newer.sealed())
    with pytest.raises(CheckpointError, match="format number is 4"):
        begun(text, base)


def test_an_onnx_file_is_refused_in_one_line(text: Path) -> None:
    with pytest.raises(UsageError, match="is a model in ONNX"):
        begun(text, str(text.parent / "model.onnx"))


def test_a_task_that_cannot_begin_with_a_model_says_so(text: Path, base: Path) -> None:
    with pytest.raises(UsageError, match="--from is no option of the task series"):
        charrnn.train(text, init_from=base, task="series", runs_dir=text.parent / "runs")


def test_a_resumed_run_takes_no_other_model(text: Path, base: Path) -> None:
    run = begun(text, base)
    with pytest.raises(UsageError, match="cannot be changed by --resume"):
        charrnn.resume(run, init_from="another")
    charrnn.resume(run, init_from=str(base))  # what it began with changes nothing
    with pytest.raises(UsageError, match="cannot be changed in a run that goes on"):
        charrnn.resume(run, more_steps=2, init_from=str(base))
    assert step(charrnn.resume(run, more_steps=2), 8).info.origins[0]["name"] == "base"
