"""A model of pairs as ONNX: the encoder in one file, a step of the decoder in another next to it.

Both files hold the same document and entries, so that either says all that another program needs.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charrnn.activity import activity
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.inference.graphs import write
from charrnn.inference.text_tracker import token_digits
from charrnn.tasks.pairs.encoder import LONGEST, PairEncoder, Side
from charrnn.tasks.pairs.graphs import encoder_graph, state_names, step_graph

FORMAT = 1
"""Of the document; raised whenever an older reader could misread a newer file."""

DOCUMENT = """A model of pairs of texts by charrnn: it turns a source into a target. This text and
the metadata entry charrnn.use, which is JSON, are all that a program needs. Names in backquotes are
keys of charrnn.use; those of a side are keys of `source` or `target` in it. There are two files:
NAME.onnx is the encoder, NAME.step.onnx one step of the decoder.

A SOURCE TO IDS. White space at both ends is left out. Where `spaced` of the source is true, a space
is put before it. `tokenizer` is the tokenizer's JSON, and below is how it encodes. What it has no
id for, a character that it would encode in bytes or a word that it would call unknown, becomes the
id `copy_id`. After the last token comes `end_id` of the source. At most `longest` tokens are read.

ENCODER. Inputs: source int64 (B, S), padded with any id, and lengths int64 (B,). Outputs: keys,
values, mask, and first, the state `0.h` before a target.

STEP. Inputs: ids int64 (R,), the last token of each of R targets, `end_id` of the target before the
first; keys, values and mask of its source; and the states `states`, zeros at first except 0.h,
which is first of the encoder. Outputs: logits (R, V) of the next token, unscaled; attention (R, S),
over the tokens of the source; and each state after the token, such as 0.h.after: the input of that
name in the next step.

DECODING. Greedy: the id of the largest logit, of equals the smallest, except those of
`never_written`, and `copy_id` where the source has none. A beam of n keeps the n best targets by
the sum of log-softmax; an `end_id` among the n best of a step completes one; they are ranked by
that sum over their number of tokens, the end counted. A target ends with `end_id` of the target, or
after `ratio` times the source's number of ids, rounded up, plus 10 tokens.

IDS TO A TARGET. `bytes` of the target gives the bytes of each id in hexadecimal: join those of all
ids, and decode them as UTF-8. `copy_id` becomes the text of the source's copy_id that has the
largest attention in the step that wrote it. Where `spaced` of the target is true, the first space
is left out, and a space is put before what is copied.
"""


@activity("exporting")
def export(checkpoint: Checkpoint, path: Path) -> None:
    """Write the encoder to a path, and the decoder's step next to it, as NAME.step.onnx."""
    text, entries = document(checkpoint), properties(checkpoint)
    # The step first: a reader that finds the encoder has both.
    write(step_graph(checkpoint, document=text), step_path(path), entries)
    write(encoder_graph(checkpoint, text), path, entries)


def step_path(path: Path) -> Path:
    """The path of the encoder -> that of the decoder's step.

    >>> step_path(Path("french.onnx")).name
    'french.step.onnx'
    """
    return path.with_name(f"{path.name.removesuffix(path.suffix)}.step{path.suffix}")


def document(checkpoint: Checkpoint) -> str:
    """A checkpoint -> the text that explains its graphs."""
    encoder: PairEncoder = checkpoint.encoder
    sides = {"source": encoder.source} if encoder.shared else {
        "source": encoder.source, "target": encoder.target,
    }  # fmt: skip
    said = [
        f"\nOF THE {'SOURCE AND THE TARGET' if encoder.shared else name.upper()}, a "
        f"{side.tokenizer.name} tokenizer:{side.tokenizer.how_to_encode}"
        for name, side in sides.items()
    ]
    return DOCUMENT + "".join(said).replace("charrnn.tokenizer", "`tokenizer`")


def properties(checkpoint: Checkpoint) -> Mapping[str, str]:
    """A checkpoint -> the entries of the metadata of both files."""
    encoder: PairEncoder = checkpoint.encoder
    use = {
        "source": _side(encoder.source),
        "target": _side(encoder.target),
        "ratio": encoder.ratio,
        "states": state_names(checkpoint.config),
    }
    # Sorted keys make two exports of the same model equal, byte for byte.
    return {"charrnn.pairs": str(FORMAT), "charrnn.use": json.dumps(use, sort_keys=True)}


def _side(side: Side) -> dict[str, Any]:
    tokenizer = side.tokenizer
    return {
        "tokenizer": tokenizer.to_json(),
        "bytes": token_digits(tokenizer),
        "copy_id": side.copy_id,
        "end_id": side.end_id,
        "longest": LONGEST,
        "never_written": [i for i in tokenizer.never_sampled if i != side.end_id],
        "spaced": side.spaced,
    } | tokenizer.encoding_json()
