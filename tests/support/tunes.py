"""A model of tunes that is small enough to test with: it has counted which character follows."""

from dataclasses import replace
from pathlib import Path

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tokenizers import TOKENIZERS
from charrnn.tokenizers.documents import END, DocumentTokenizer
from tests.support.steppers import pairs
from tests.support.tiny import random_weights, tiny_model

TUNES = (
    'X:1\nM:3/4\nL:1/8\nK:D\n|:"D"A2f2d2|"A7"(3Bcde/2d/2c2|[1d6:|[2d4-d2|]\n' + END
    + "X:1\nM:6/8\nL:1/8\nK:Em\nG|E3G,B,3/2^c/4=c/4|[M:2/4]z4||_B'c''|\n" + END
)  # fmt: skip
"""Two tunes, with every kind of sign."""


def tunes_checkpoint(documents: str = "tune") -> Checkpoint:
    """A checkpoint of a model of tunes, with random weights."""
    tokenizer = DocumentTokenizer(TOKENIZERS["char"].train([TUNES.replace(END, "")]))
    config = replace(tiny_model(vocab_size=tokenizer.vocab_size), reset_id=tokenizer.start_id)
    info = CheckpointInfo(step=1, epoch=0.1, corpus={"sha256": "0" * 64, "documents": documents})
    return Checkpoint(config, tokenizer, random_weights(config), info)


def tunes_model(documents: str = "tune", path: Path = Path("tunes.safetensors")) -> LanguageModel:
    """The same as a model, which writes by its counts and not by its weights."""
    model = LanguageModel(tunes_checkpoint(documents), path, threads=1)
    model.engine = pairs(model.tokenizer, TUNES)  # type: ignore[assignment]
    return model
