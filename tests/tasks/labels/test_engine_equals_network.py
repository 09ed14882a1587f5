"""What ONNX Runtime computes is what the torch network computes."""

import numpy as np
import pytest

from charrnn.config import CELLS
from charrnn.inference.graphs import OPERATORS
from charrnn.tasks.labels.batches import Part
from charrnn.tasks.labels.classifier import Classifier
from charrnn.tasks.labels.encoder import LabelEncoder, weighted
from charrnn.tasks.labels.evaluate import joined
from charrnn.tasks.labels.reading import Example
from charrnn.tasks.labels.stepper import evaluating
from tests.support.labels import (
    NAMES,
    SENTENCES,
    SEVERAL,
    assert_close,
    checkpoint_of,
    learned,
    network_of,
)

CASES = [
    pytest.param(SENTENCES, "auto", {}, id="words"),
    pytest.param(NAMES, "auto", {}, id="characters"),
    pytest.param(SEVERAL, "auto", {}, id="several labels"),
    pytest.param(SENTENCES, "byte", {}, id="bytes"),
    pytest.param(SENTENCES, "subword", {}, id="subwords"),
    pytest.param(SENTENCES, "word", {"num_layers": 1}, id="one layer"),
    pytest.param(SENTENCES, "word", {"hidden_size": 7, "residual": False}, id="odd units"),
    *(
        pytest.param(SENTENCES, "word", {"cell": cell}, id=cell)
        for cell in CELLS
        if cell in OPERATORS
    ),
]


@pytest.mark.parametrize(("examples", "tokenizer", "fields"), CASES)
def test_the_engine_computes_what_the_network_computes(
    examples: list[Example], tokenizer: str, fields: dict[str, object], tmp_path: object
) -> None:
    encoder = weighted(learned(examples, tokenizer), (0.7, 0.4, 0.3))
    network = network_of(encoder, **fields)
    model = Classifier(checkpoint_of(encoder, network), tmp_path / "x.safetensors")  # type: ignore[operator]
    texts = [example.text for example in examples[:9]] + ["", "xyzzy \U0001f600", "the " * 60]
    part = model._part([Example(text, ()) for text in texts])
    batch = part.inputs(range(len(texts)), encoder)
    with evaluating(network) as run:
        outputs = run(batch)
    found, probabilities = model.engine.run(batch)
    assert_close(found, outputs)
    assert_close(
        probabilities,
        joined(np.stack([outputs, *batch[3:]]), encoder.weights, encoder.multiple),
    )
    assert_alone(model, part, encoder, probabilities)


def assert_alone(
    model: Classifier, part: Part, encoder: LabelEncoder, probabilities: np.ndarray
) -> None:
    """A text's result does not depend on those it is read together with."""
    for text in (0, 9, 10):
        assert_close(model.engine.run(part.inputs([text], encoder))[1][0], probabilities[text])
