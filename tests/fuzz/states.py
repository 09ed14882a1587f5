"""Reading a state file, as `sample --load-state` does, and continuing from it."""

from dataclasses import replace

import numpy as np

from charrnn.inference import state_file
from charrnn.inference.generation import Sample, SamplingParams, begin, resume
from tests.fuzz.harness import FOLDER, to_file, to_input
from tests.support.tiny import smallest_checkpoint

PATH = FOLDER / "end.state"

MODEL = smallest_checkpoint(cell="lstm", num_layers=2)


def seeds() -> list[bytes]:
    """The ends of a short and a long text, and of one cut anywhere; and one complete file."""
    short, long = (begin(MODEL.tokenizer, text) for text in ("The mill", "The old cat sat. " * 40))
    filters = {"mirostat": 3.5, "ban": ["The", [1]]}
    cut = replace(short, history=long.ids, held="The", incomplete=(1,), filters=filters)
    files = []
    for end in (short, long, cut):
        state_file.save(PATH, end, 2**62, MODEL)
        files.append(PATH.read_bytes())
    return [*map(to_input, files), files[0]]


def read(data: bytes) -> None:
    """Load it and append a prompt; what is accepted fits the model and can be saved again."""
    PATH.write_bytes(to_file(data))
    start, seed = state_file.load(PATH, MODEL)
    assert start.state is not None
    assert all(part.shape == (1, 2) and np.isfinite(part).all() for part in start.state)
    assert len(start.history) <= state_file.MAX_IDS
    assert all(0 <= i < MODEL.config.vocab_size for i in (*start.history, *start.incomplete))
    # What is held back and what is incomplete come out with the next text.
    shown = Sample(0, MODEL.tokenizer, SamplingParams(1), start).take(1, None)
    assert shown is not None
    assert shown.text.startswith(start.held)
    resumed = resume(MODEL.tokenizer, start, "and")
    assert 0 <= resumed.ids.min() <= resumed.ids.max() < MODEL.config.vocab_size
    np.random.default_rng([seed, 0]).bit_generator.advance(2 * start.drawn)  # type: ignore[attr-defined]
    state_file.save(FOLDER / "again.state", start, seed, MODEL)
