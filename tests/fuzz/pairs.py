"""Reading pairs: bytes of a file, or of two parallel ones -> splits of ids; and an encoder's JSON.

The first byte of an input selects what it is and the encoding, the second the tokenizer; the rest
is the file. Two parallel files are parted by the first NUL.
"""

import json
import shutil
from pathlib import Path

import numpy as np

from charrnn.tasks.pairs.config import PairsDataConfig
from charrnn.tasks.pairs.dataset import prepare, reopen
from charrnn.tasks.pairs.encoder import PairEncoder
from tests.fuzz.harness import FOLDER, from_json
from tests.support.pairs import PAIRS, SPLIT, learned

FORMS = ("pairs.tsv", "pairs.csv", "pairs.jsonl", "pairs.json", "parallel", "encoder")

ENCODINGS = ("utf-8", "utf-16", "latin-1", "shift_jis")

KINDS = ("auto", "char", "byte", "word", "subword")

ODD = "a\u2581\0 \U0001f600\udc80<unk>\u2028b\u05e9"


def seeds() -> list[bytes]:
    """Pairs in each form, with each tokenizer, in some encodings; encoders of each kind."""
    some = [pair for pairs in zip(PAIRS[:16], SPLIT[:16], strict=True) for pair in pairs]
    lines = "".join(f"{source}\t{target}\n" for source, target in some)
    rows = [{"source": source, "target": target} for source, target in some]
    sides = ["".join(f"{side}\n" for side in sides) for sides in zip(*some, strict=True)]
    texts = [
        lines, "source,target\n" + lines.replace("\t", ","), "\n".join(map(json.dumps, rows)),
        json.dumps(rows), "\0".join(sides),
    ]  # fmt: skip
    found = []
    for form, text in enumerate(texts):
        for kind in range(len(KINDS) - 1):
            number = (form + kind) % len(ENCODINGS)
            found.append(bytes((form + 6 * number, kind)) + text.encode(ENCODINGS[number]))
    encoders = [learned(PAIRS), learned(SPLIT), learned(PAIRS, "word"), learned(PAIRS, "byte")]
    return [*found, *(bytes((5, 0)) + json.dumps(each.to_json()).encode() for each in encoders)]


def read(data: bytes) -> None:
    """Prepare it, read its batches, decode its targets; or use the encoder."""
    choice, kind = (*data[:2], 0, 0)[:2]
    form, raw = FORMS[choice % 6], data[2:]
    if form == "encoder":
        encoder = from_json(raw, PairEncoder)
        if encoder:
            _round_trip(encoder)
        return
    place = FOLDER / "pairs"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    files = _written(place, form, raw)
    config = PairsDataConfig(
        files, KINDS[kind % len(KINDS)], encoding=ENCODINGS[choice // 6 % 4], test_fraction=0.1
    )
    made = prepare(config, place / "made")
    back = reopen(place / "made", made.encoder)
    assert back is not None
    batches = back.batches(4, 8, 0, 1)
    for step in range(int(batches.steps_per_epoch)):
        source, lengths, inputs, targets = batches[step]
        assert source.min() >= 0
        assert source.max() < (made.encoder.source_vocab_size or made.encoder.vocab_size)
        assert lengths.min() > 0
        assert max(inputs.max(), targets.max()) < made.encoder.vocab_size
    _round_trip(made.encoder)


def _written(place: Path, form: str, raw: bytes) -> tuple[str, ...]:
    """The files of an input."""
    if form != "parallel":
        (place / form).write_bytes(raw)
        return (str(place / form),)
    source, _, target = raw.partition(b"\0")
    for name, part in (("x.de", source), ("x.en", target)):
        (place / name).write_bytes(part)
    return str(place / "x.de"), str(place / "x.en")


def _round_trip(encoder: PairEncoder) -> None:
    """An odd text has ids of the source, which end, and text for each COPY."""
    ids, copied, cut = encoder.encode_source(ODD)
    assert not cut
    assert ids[-1] == encoder.source.end_id
    assert 0 <= ids.min() <= ids.max() < (encoder.source_vocab_size or encoder.vocab_size)
    assert np.count_nonzero(ids == encoder.source.copy_id) == len(copied)
    target = encoder.encode_target(ODD, ODD)
    assert target.max() < encoder.vocab_size
    encoder.target.decode(range(min(5_000, encoder.vocab_size)))
