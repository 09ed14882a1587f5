"""What an exported ONNX file says about itself: all that another program needs to use the model.

Three entries of its metadata, and its text of documentation: how text becomes ids, what the graph
reads and returns, how probabilities follow from logits, and how ids become text.

    charrnn.format      2; absent in files of version 0.1, whose only entry is charrnn.tokenizer
    charrnn.tokenizer   the tokenizer's own JSON, as in a checkpoint
    charrnn.use         JSON of everything else that a number or a table can say; see `use`
"""

import json
from typing import Any

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import state_shapes
from charrnn.inference.text_tracker import document_ends, token_digits
from charrnn.tokenizers.base import knows_carriage_return
from charrnn.tokenizers.floor import Floor

FORMAT = 2
"""Of the document; raised whenever an older reader could misread a newer file."""

BEGIN = """A recurrent language model by charrnn. This text and the metadata entries charrnn.use and
charrnn.tokenizer, both JSON, are all that a program needs to encode, score and sample text.
Names in backquotes are keys of charrnn.use, or of charrnn.tokenizer where that is said.
"""

SEQUENCE = """
THE NETWORK. Input ids: int64 (T, B), the ids of T tokens of B texts, time first. The other inputs
are the state ({state}): float32 (B, {size}), zeros before a text. Output logits: float32
(T, B, {vocab}); row t scores the token after token t. The other outputs are the state after the
last token, such as {first}.after: give each as the input of its name, to go on.
"""

STEP = """
THE NETWORK. Input ids: int64 (B,), the next token id of each of B texts. The other inputs are the
state ({state}): float32 (B, {size}), zeros before a text. Output logits: float32 (B, {vocab});
they score the token after it. The other outputs are the state after the token, such as
{first}.after: give each as the input of its name, to go on.
"""

PROBABILITIES = """
TEXTS. Every text begins anew with a state of zeros and the id `start_id`, which is no part of the
text: what is read is start_id, then the ids of the text. Where `end_id` is not null, documents end
with it: sampling stops there, and it is not shown. Where `reset_id` is not null, the state is set
to zeros before each token of that id is read, wherever it occurs.

SAMPLING. Logits are unscaled: the softmax over them, divided by the temperature, is what a token is
drawn from. The ids of `never_sampled` are left out first. Greedy: the id of the largest logit of
the others; of equals the smallest id.

SCORING. p is the softmax over all logits. Where `floor` is null, the probability of a token is its
p. Otherwise it is a mixture, because the network alone puts no bound on what a rare id costs. With
m = `floor.after_part` if the id before the token is one of `parts`, else `floor.after_whole`:
(1 - m) * p, and for the ids of `floor.rare`, of which there are R, (1 - m) * p + m / R.
"""

DECODING = """
IDS TO TEXT. `bytes` gives the bytes of each id in hexadecimal. Join those of all ids, and decode
them as UTF-8, with U+FFFD for what is invalid.
"""

UNSAID = """
TEXT TO IDS. As charrnn's tokenizer {name} does, whose JSON is charrnn.tokenizer.
"""
"""For a tokenizer that does not say how it encodes."""

MARKED = """Before that, each U+FDD0 in a text, which is the end of a document, becomes `end_id`.
"""

READING = {
    "line": """
FILES. Each line is a document: spaces at its end are left out, blank lines too, and each ends in
one newline, which is `end_id`.
""",
    "file": """
FILES. Each file is a document, without the newlines at its beginning and end; U+FDD0 ends it.
""",
    "blank": """
FILES. The text between blank lines is a document; U+FDD0 ends it, and there is no newline before
that and none after it.
""",
    "chat": """
FILES. Each conversation of a chat is a document of lines `Name: text`, each with a newline at its
end; a line break inside a text is U+2028. U+FDD0 ends a conversation, after its last newline.
""",
    "tune": """
FILES. Each tune is a document of five lines in a strict form of ABC, each with a newline at its
end: X:1, M:, L:, K: and the body, without blanks. U+FDD0 ends it, after its last newline.
""",
}
"""By `documents`: how a file became the text that the model learned."""

LABELS = """
LABELS. Each document was learned as a label, a tab (U+0009) and its text; the labels are the keys
of `labels`, with the number of their training documents. To write or score in a label, read
start_id, then the ids of the label and the tab together, then the text: the probability of the
text given the label is the product over the ids after the tab. Do so after each end of a document
too. For a mix of labels read each with a state of its own, and add the weighted logits, with
weights of a sum of 1. Without a label the model writes one, a tab, and a text in it.
"""

MIXED = """
LEFT OUT. charrnn mixes this network with n-gram models of its training text, which are not in this
file: its own samples and scores are those of the mixture.
"""

LINE_ENDS = (
    "{begin}Line ends of other kinds (CR LF, CR, VT, FF, NEL, LS, PS) were read as newlines.\n"
)


def document(checkpoint: Checkpoint, by_sequence: bool) -> str:
    """A checkpoint -> the text that explains its graph, for its tokenizer and its documents.

    by_sequence: whether the graph reads sequences and not single tokens.
    """
    tokenizer = checkpoint.tokenizer
    said = tokenizer.how_to_encode or UNSAID.format(name=tokenizer.name)
    names = list(state_shapes(checkpoint.config, 1))
    network = (SEQUENCE if by_sequence else STEP).format(
        state=", ".join(names),
        first=names[0],
        size=checkpoint.config.hidden_size,
        vocab=checkpoint.config.vocab_size,
    )
    parts = [BEGIN, network, PROBABILITIES, said]
    if document_ends(tokenizer):
        parts.append(MARKED)
    reading = READING.get(_documents(checkpoint), "")
    parts += [DECODING, reading]
    if _labels(checkpoint):
        parts.append(LABELS)
    if checkpoint.mixture is not None:
        parts.append(MIXED)
    if _converts_line_ends(checkpoint):
        parts.append(LINE_ENDS.format(begin="" if reading else "\nFILES. "))
    return "".join(parts)


def properties(checkpoint: Checkpoint) -> dict[str, str]:
    """A checkpoint -> the entries of the metadata of its ONNX file."""
    # Sorted keys make two exports of the same model equal, byte for byte.
    return {
        "charrnn.format": str(FORMAT),
        "charrnn.tokenizer": json.dumps(checkpoint.tokenizer.to_json(), sort_keys=True),
        "charrnn.use": json.dumps(use(checkpoint), sort_keys=True),
    }


def use(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint -> the entry charrnn.use, as the document explains it."""
    tokenizer = checkpoint.tokenizer
    ends = document_ends(tokenizer) or [tokenizer.newline_id] * checkpoint.info.lines
    return {
        "bytes": token_digits(tokenizer),
        "documents": _documents(checkpoint),
        "end_id": ends[0] if ends else None,
        **({"labels": labels} if (labels := _labels(checkpoint)) else {}),
        "floor": None if tokenizer.floor is None else _floor(tokenizer.floor),
        "line_ends": "convert" if _converts_line_ends(checkpoint) else "keep",
        "never_sampled": list(tokenizer.unsampled),
        "newline_id": tokenizer.newline_id,
        "parts": list(tokenizer.parts),
        "reset_id": checkpoint.config.reset_id if checkpoint.config.reset_id >= 0 else None,
        "start_id": tokenizer.start_id,
        "state": list(state_shapes(checkpoint.config, 1)),
        "unknown_id": tokenizer.unknown_id,
    } | tokenizer.encoding_json()


def _labels(checkpoint: Checkpoint) -> dict[str, int]:
    """The labels of a model of labelled documents, with their training documents; {} without."""
    # From a file that may be untrusted.
    found: Any = checkpoint.info.corpus.get("conditions")
    if not isinstance(found, dict):
        return {}
    return {k: v for k, v in found.items() if isinstance(k, str) and type(v) is int}


def _floor(floor: Floor) -> dict[str, Any]:
    whole, part = floor.masses
    return {"rare": list(floor.rare), "after_whole": whole, "after_part": part}


def _documents(checkpoint: Checkpoint) -> str:
    """What a document was in the training text: one of READING, or ""."""
    # The record is from a file that may be untrusted.
    found = checkpoint.info.corpus.get("documents")
    return found if isinstance(found, str) and found in READING else ""


def _converts_line_ends(checkpoint: Checkpoint) -> bool:
    """Whether the training text was read with newlines for all line ends."""
    if checkpoint.tokenizer.name == "byte":
        return bool(_documents(checkpoint))
    return not knows_carriage_return(checkpoint.tokenizer)
