"""Translator: a trained model of pairs."""

import json
from pathlib import Path

import numpy as np
import pytest

import charrnn
from charrnn.checkpoints import checkpoint
from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.pairs.exporting import step_path
from charrnn.tasks.pairs.translator import Translator
from tests.support.pairs import PAIRS, checkpoint_of, learned, network_of, write_pairs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> charrnn.Run:
    """A run of a few steps."""
    folder = tmp_path_factory.mktemp("pairs")
    return charrnn.train(
        write_pairs(folder / "x.tsv"), task="pairs", runs_dir=folder / "runs", steps=30,
        hidden_size=16, embedding_size=8, threads=1, test_fraction=0.1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(run: charrnn.Run) -> Translator:
    found = charrnn.load(run)
    assert isinstance(found, Translator)
    return found


def test_texts_are_translated_in_order(model: Translator) -> None:
    texts = [pair.source for pair in PAIRS]
    assert model.translate_all(texts) == [model.translate(text) for text in texts]


def test_an_empty_source_has_an_empty_target(model: Translator) -> None:
    assert model.translate_all(["", "afi", "  ", "\t"])[0::2] == ["", ""]
    assert model.translate_all([]) == []


def test_the_best_targets_have_scores_and_alignments(model: Translator) -> None:
    ((first, *others),) = model.hypotheses(["afi"], beam=4, n_best=3)
    assert len(others) == 2
    assert first.score >= others[0].score >= others[1].score
    assert first.source_tokens == ("a", "f", "i", "</s>")
    assert first.attention.shape == (len(first.target_tokens), 4)
    np.testing.assert_allclose(first.attention.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize(("beam", "n_best"), [(0, 1), (101, 1), (2, 3), (1.5, 1), (2, 0)])
def test_numbers_that_cannot_be_are_refused(model: Translator, beam: int, n_best: int) -> None:
    with pytest.raises(UsageError):
        model.hypotheses(["afi"], beam, n_best)


def test_evaluation_shows_beam_search_and_the_baselines(model: Translator) -> None:
    score = model.evaluate("test")
    assert set(score.others) == {"beam 5", "copy", "most frequent"}
    assert score.pairs == model.pairs.length("test") if model.pairs else 0
    assert json.loads(json.dumps(score.to_json())) == score.to_json()
    assert len(model.baseline_lines(score)) >= 3


def test_a_file_is_evaluated(model: Translator, tmp_path: Path) -> None:
    assert model.evaluate(file=write_pairs(tmp_path / "new.tsv", PAIRS[:12])).pairs == 12
    (tmp_path / "none.tsv").write_text("no pairs\n")
    with pytest.raises(CorpusError, match="no pair"):
        model.evaluate(file=tmp_path / "none.tsv")
    with pytest.raises(UsageError, match="no split"):
        model.evaluate("tset")


def test_a_line_break_that_the_model_writes_does_not_end_the_line(model: Translator) -> None:
    assert "\n" not in "".join(model.translate_all([pair.source for pair in PAIRS]))


def test_it_exports_two_graphs_that_say_how_to_use_them(tmp_path: Path) -> None:
    import onnx

    encoder = learned(PAIRS)
    path = tmp_path / "x.safetensors"
    checkpoint.save(checkpoint_of(encoder, network_of(encoder)), path)
    target = charrnn.load(path).save(tmp_path / "x.onnx")
    assert {each.name for each in tmp_path.glob("*.onnx")} == {"x.onnx", "x.step.onnx"}
    for file in (target, step_path(target)):
        graph = onnx.load(file)
        onnx.checker.check_model(graph, full_check=True)
        entries = {each.key: each.value for each in graph.metadata_props}
        use = json.loads(entries["charrnn.use"])
        assert use["target"]["copy_id"] == encoder.target.copy_id
        assert all(
            name in graph.graph.doc_string for name in ("DECODING", "`ratio`", "TEXT TO IDS")
        )
