"""Small labelled texts, and a model of them without a training, for the tests of labels."""

from pathlib import Path

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.models.recurrent import build
from charrnn.tasks.labels.config import LabelsConfig, LabelsDataConfig
from charrnn.tasks.labels.encoder import LabelEncoder, learn
from charrnn.tasks.labels.network import LabelsNetwork
from charrnn.tasks.labels.reading import Example

THINGS = {
    "animal": ("cat", "dog", "horse", "mouse", "goose"),
    "plant": ("oak", "rose", "moss", "fern", "birch"),
    "tool": ("saw", "hammer", "plane", "chisel", "drill"),
}
"""Label -> words of which a sentence has one."""

SENTENCES = [
    Example(f"{begin} the {word} that {end} was here before", (label,))
    for label, words in THINGS.items()
    for word in words
    for begin in ("look at", "I know")
    for end in ("we saw", "you like")
]
"""Sentences of several words, longer than names."""

NAMES = [Example(word * 2, (label,)) for label, words in THINGS.items() for word in words]
"""Short texts, whose tokens are characters."""

SEVERAL = [
    Example(f"{one.text} and {other.text}", tuple(sorted({*one.labels, *other.labels})))
    for one, other in zip(SENTENCES, SENTENCES[7:] + SENTENCES[:7], strict=True)
]
"""Sentences that have one label or two."""


def write_examples(path: Path, examples: list[Example] = SENTENCES) -> Path:
    """Texts as lines of text, a tab and label; several labels in fastText's form."""
    tagged = any(len(example.labels) > 1 for example in examples)
    lines = [
        " ".join([*(f"__label__{label}" for label in example.labels), example.text])
        if tagged
        else f"{example.text}\t{example.labels[0]}"
        for example in examples
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def learned(examples: list[Example] = SENTENCES, tokenizer: str = "auto") -> LabelEncoder:
    """The encoder of some texts."""
    return learn(LabelsDataConfig(("x.tsv",), tokenizer=tokenizer), examples)[0]


def network_of(encoder: LabelEncoder, **fields: object) -> LabelsNetwork:
    """A network with random weights, in evaluation mode."""
    sizes = {"hidden_size": 12, "embedding_size": 8, "num_layers": 2, "residual": True} | fields
    config = LabelsConfig(
        vocab_size=encoder.vocab_size,
        num_labels=len(encoder.labels),
        outputs="sigmoid" if encoder.multiple else "softmax",
        part_buckets=encoder.part_buckets,
        members=2,
        **sizes,  # type: ignore[arg-type]
    )
    network = build(LabelsNetwork, config, seed=3, scale=0.0)
    # Its outputs start at zero, where every network would be the same.
    for name, parameter in network.named_parameters():
        if "output.weight" in name:
            parameter.data.normal_()
    network.embedding.weight.data *= 10
    return network.eval()


def checkpoint_of(encoder: LabelEncoder, network: LabelsNetwork) -> Checkpoint:
    """The checkpoint of a network."""
    weights = {name: p.detach().numpy().copy() for name, p in network.named_parameters()}
    info = CheckpointInfo(step=1, epoch=1.0, corpus={}, lines=False, versions={})
    return Checkpoint(network.config, encoder, weights, info, task="labels")


def assert_close(one: np.ndarray, other: np.ndarray) -> None:
    """Equal but for rounding."""
    np.testing.assert_allclose(one, other, atol=2e-5)
