"""The ONNX graphs compute what the torch network computes, for every cell."""

import numpy as np
import pytest

from charrnn.config import CELLS
from charrnn.tasks.pairs.engine import PairEngine
from charrnn.tasks.pairs.evaluate import text_of, translate
from charrnn.tasks.pairs.reading import Pair
from charrnn.tasks.pairs.stepper import TorchDecoder
from tests.support.pairs import PAIRS, SPLIT, assert_close, checkpoint_of, learned, network_of


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pairs", [PAIRS, SPLIT], ids=["shared", "two vocabularies"])
@pytest.mark.parametrize(
    "fields", [{}, {"num_layers": 1, "residual": False, "hidden_size": 7}], ids=["two", "one"]
)
def test_engine_and_network_are_equal(
    cell: str, pairs: list[Pair], fields: dict[str, object]
) -> None:
    encoder = learned(pairs)
    network = network_of(encoder, cell=cell, **fields)
    one, other = TorchDecoder(network), PairEngine(checkpoint_of(encoder, network), threads=1)
    # Of different lengths, so that there is padding.
    sources = [encoder.encode_source(text)[0] for text in (pairs[0].source, "a" * 9, "b")]
    (memory, state), (memory_2, state_2) = one.encode(sources), other.encode(sources)
    for row, source in enumerate(sources):
        for a, b in zip(memory, memory_2, strict=True):
            assert_close(a[row, : len(source)], b[row, : len(source)])
    assert (memory[2] == memory_2[2]).all()
    for ids in ([encoder.target.end_id] * 3, [1, 2, 3]):
        logits, attention, state = one.step(np.array(ids), memory, state)
        logits_2, attention_2, state_2 = other.step(np.array(ids), memory_2, state_2)
        assert_close(logits, logits_2)
        assert_close(attention, attention_2)
        for a, b in zip(state, state_2, strict=True):
            assert_close(a, b)


def test_both_translate_the_same_and_int8_nearly() -> None:
    encoder = learned(PAIRS)
    network = network_of(encoder)
    checkpoint = checkpoint_of(encoder, network)
    decoders = (TorchDecoder(network), PairEngine(checkpoint, threads=1))
    texts = [pair.source for pair in PAIRS[:10]]
    found = [
        [
            text_of(encoder, ids, copied, each[0])
            for ids, copied, each in translate(d, encoder, texts)
        ]
        for d in decoders
    ]
    assert found[0] == found[1]
    small = PairEngine(checkpoint, threads=1, precision="int8")
    memory, state = small.encode([encoder.encode_source("abc")[0]])
    ids = np.array([encoder.target.end_id])
    exact = decoders[1].step(ids, memory, state)[0]
    assert 0 < np.abs(small.step(ids, memory, state)[0] - exact).max() < 0.05


def test_rows_of_a_batch_do_not_influence_each_other() -> None:
    encoder = learned(PAIRS)
    decoder = TorchDecoder(network_of(encoder))
    texts = ["abc", "a", "feldspar", "bb"]
    together = translate(decoder, encoder, texts, 3)
    for text, (_, _, found) in zip(texts, together, strict=True):
        ((_, _, alone),) = translate(decoder, encoder, [text], 3)
        assert [each.ids for each in alone] == [each.ids for each in found]
        assert_close(
            np.array([each.score for each in alone]), np.array([each.score for each in found])
        )
