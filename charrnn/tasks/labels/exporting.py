"""A model of labels as an ONNX file that says all that another program needs to classify."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charrnn.activity import activity
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.inference.graphs import write
from charrnn.tasks.labels.encoder import LONGEST, MOST_PARTS, MOST_READ, LabelEncoder
from charrnn.tasks.labels.graph import graph
from charrnn.tasks.labels.metrics import THRESHOLD
from charrnn.tasks.labels.naive_bayes import KINDS
from charrnn.tasks.labels.naive_bayes import LONGEST as LONGEST_GRAMS

FORMAT = 2
"""Of the document; raised whenever an older reader could misread a newer file."""

DOCUMENT = """A model of labels by charrnn: it gives each label of a text a probability. This text
and the metadata entry charrnn.use, which is JSON, are all that a program needs. Names in backquotes
are keys of charrnn.use. crc32 is that of zlib, of UTF-8 bytes (of a lone surrogate its three).

INPUTS, of B texts of at most T tokens. ids int64 (B, T), padded with 0; parts int64 (B, T, P), P
any size from 0 on, padded with `part_buckets`; lengths int64 (B,), from 1 on; scores and linear
float (B, L).
OUTPUTS. probabilities (B, L), in the order of `labels`. Where `multiple` is false they add up to 1
and the largest is the prediction; where it is true each label from `threshold` on is predicted.
outputs (B, L): what the recurrent networks say, the mean of their
log-probabilities or, where `multiple` is true, logits.

TOKENS. Of a text of more than `most_read` characters the first and the last half of as many are
read. Runs of white space become one space; that at both ends is left out. Where `words` is true,
the text is made lower case and a space is put before it, unless it is empty. The tokens are those
of `tokenizer`, and below is how it encodes. Of more than `longest` tokens, the first and the last
half of as many are read. A text without tokens has one, without an id. What has no id (an unknown
word, a byte or part of a character that `odd_ids` lists) becomes `no_id`.

PARTS, where `words` is true. Of a token without white space at its ends take the first `most_parts`
characters and put < before and > after them. Its parts are all pieces of `part_sizes` characters,
by size and then from left to right, at most `most_parts` of them: each is crc32 modulo
`part_buckets`. A token that has no text has none.

SCORES, of naive Bayes over n-grams, of the first `longest_grams` characters of the text without
white space at its ends. Where `naive_bayes.kind` is "words", it is made lower case; its parts are
^, all matches of the regular expression \\w+|[^\\w\\s] of Python (Unicode), and $, joined by a
space; where it is "characters", ^, each character and $, joined by nothing. The n-grams are all
runs of 1 to `most_grams` parts; each becomes the lowest `naive_bayes.bits` bits of crc32, and
counts once a text: n different ones. The arrays of `naive_bayes` are little-endian uint32,
compressed by zlib, in base64: of_label (L,) texts of each label; sizes: how many entries each
bucket has; labels and counts: of all entries, in the order of the buckets. G(l) is the sum of the
counts of the entries of label l, c(b, l) the count of bucket b and label l (0 without an entry), a
is `naive_bayes.smoothing`, Z = a * the number of buckets that have an entry. Where `multiple` is
false, with s(l) the sum over the buckets of log(c(b, l) + a) - log(G(l) + Z), plus log(of_label(l)
+ 1), the score is (s(l) - the largest s) / sqrt(n). Where it is true, C(b) is the sum of c(b, l)
over l, S that of G(l), N `naive_bayes.texts`, and the score is (the sum over the buckets of
log(c(b, l) + a) - log(G(l) + Z) - log(C(b) - c(b, l) + a) + log(S - G(l) + Z), plus log(of_label(l)
+ 1) - log(N - of_label(l) + 1)) / sqrt(n). n is 1 where there is no n-gram.

LINEAR, of logistic regression over the TF-IDF of the same n-grams. Where `linear` is null it is 0
for each label. Else `linear.weights`, (K, L), row by row, and `linear.bias` (L,) are little-endian
float16, compressed by zlib, in base64; the rows are those of the K buckets that have an entry, in
their order. M is the larger of N and the sum of of_label. A bucket that has an entry has the value
ln((1 + M) / (1 + C(b))) + 1, any other one none; v(b) is that value over the square root of the sum
of the squares of those of the text's buckets. linear of a label is its bias and the sum over the
buckets of v(b) times the weight of the bucket and the label.
"""


@activity("exporting")
def export(checkpoint: Checkpoint, path: Path) -> None:
    """Write a model as an ONNX file."""
    write(graph(checkpoint, document(checkpoint)), path, properties(checkpoint))


def document(checkpoint: Checkpoint) -> str:
    """A checkpoint -> the text that explains its graph."""
    tokenizer = checkpoint.encoder.tokenizer
    own = f"\nA {tokenizer.name} tokenizer:{tokenizer.how_to_encode}"
    return DOCUMENT + own.replace("charrnn.tokenizer", "`tokenizer`")


def properties(checkpoint: Checkpoint) -> Mapping[str, str]:
    """A checkpoint -> the entries of the metadata."""
    encoder: LabelEncoder = checkpoint.encoder
    tokenizer = encoder.tokenizer
    odd = {} if tokenizer.name == "byte" else dict.fromkeys(tokenizer.parts, 0)
    if tokenizer.unknown_id is not None:
        odd[tokenizer.unknown_id] = 0
    use: dict[str, Any] = {
        "labels": encoder.labels,
        "multiple": encoder.multiple,
        "threshold": THRESHOLD,
        "tokenizer": tokenizer.to_json(),
        "words": encoder.part_buckets > 0,
        "no_id": tokenizer.vocab_size,
        "odd_ids": sorted(odd),
        "longest": LONGEST,
        "most_read": MOST_READ,
        "part_buckets": encoder.part_buckets,
        "part_sizes": [3, 4, 5],
        "most_parts": MOST_PARTS,
        "naive_bayes": encoder.bayes.to_json(),
        "linear": None if encoder.linear is None else encoder.linear.to_json(),
        "longest_grams": LONGEST_GRAMS,
        "most_grams": KINDS[encoder.bayes.kind],
    }
    # Sorted keys make two exports of the same model equal, byte for byte.
    more = tokenizer.encoding_json()
    return {"charrnn.labels": str(FORMAT), "charrnn.use": json.dumps(use | more, sort_keys=True)}
