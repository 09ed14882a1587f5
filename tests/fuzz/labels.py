"""Reading texts with labels: bytes of a file, or of two of a folder -> splits; an encoder's JSON.

The first byte of an input selects what it is and the encoding, the second the tokenizer; the rest
is the file. The two files of a folder, each of a label, are parted by the first NUL.
"""

import json
import shutil
from pathlib import Path

import numpy as np

from charrnn.tasks.labels.config import LabelsDataConfig
from charrnn.tasks.labels.dataset import LabelledTexts, prepare, reopen
from charrnn.tasks.labels.encoder import Forms, LabelEncoder
from tests.fuzz.harness import FOLDER, from_json
from tests.support.labels import NAMES, SENTENCES, SEVERAL, learned

FORMS = ("texts.tsv", "texts.csv", "texts.jsonl", "texts.json", "fasttext.txt", "folder", "encoder")

ENCODINGS = ("utf-8", "utf-16", "latin-1", "shift_jis")

KINDS = ("auto", "char", "byte", "word", "subword")

ODD = "a\u2581\0 \U0001f600\udc80<unk>\u2028b\u05e9"


def seeds() -> list[bytes]:
    """Labelled texts in each form, with each tokenizer, in some encodings; encoders."""
    some = [each for both in zip(NAMES, SENTENCES[::4], strict=True) for each in both]
    lines = "".join(f"{text}\t{labels[0]}\n" for text, labels in some)
    rows = [{"text": text, "label": list(labels)} for text, labels in SEVERAL[:20]]
    folder = "\0".join("".join(f"{text}\n" for text, _ in half) for half in (some[::2], some[1::2]))
    texts = [
        lines, "text,label\n" + lines.replace("\t", ","), "\n".join(map(json.dumps, rows)),
        json.dumps(rows), "".join(f"__label__{labels[0]} {text}\n" for text, labels in some),
        folder,
    ]  # fmt: skip
    found = []
    for form, text in enumerate(texts):
        for kind in range(len(KINDS) - 1):
            number = (form + kind) % len(ENCODINGS)
            raw = text.encode(ENCODINGS[number])
            found.append(bytes((form + len(FORMS) * number, kind)) + raw)
    encoders = [learned(), learned(NAMES), learned(SEVERAL), learned(NAMES, "byte")]
    return [*found, *(bytes((6, 0)) + json.dumps(each.to_json()).encode() for each in encoders)]


def read(data: bytes) -> None:
    """Prepare it, read its batches and what is classified; or use the encoder."""
    choice, kind = (*data[:2], 0, 0)[:2]
    form, raw = FORMS[choice % len(FORMS)], data[2:]
    if form == "encoder":
        encoder = from_json(raw, LabelEncoder)
        if encoder:
            _used(encoder)
        return
    place = FOLDER / "labels"
    shutil.rmtree(place, ignore_errors=True)
    (place / "folder").mkdir(parents=True)
    encoding = ENCODINGS[choice // len(FORMS) % len(ENCODINGS)]
    config = LabelsDataConfig(
        (_written(place, form, raw),), KINDS[kind % len(KINDS)], encoding=encoding,
        test_fraction=0.1,
    )  # fmt: skip
    made = prepare(config, place / "made")
    back = reopen(place / "made", made.encoder)
    assert back is not None
    _batches(back)
    _used(made.encoder)


def _written(place: Path, form: str, raw: bytes) -> str:
    """The file or folder of an input."""
    if form == "folder":
        first, _, second = raw.partition(b"\0")
        (place / form / "one.txt").write_bytes(first)
        (place / form / "other.txt").write_bytes(second)
    else:
        (place / form).write_bytes(raw)
    return str(place / form)


def _batches(dataset: LabelledTexts) -> None:
    """Each text of the training part is read once an epoch, in arrays within their limits."""
    encoder = dataset.encoder
    batches, texts = dataset.batches(4, 8, 0, 1), 0
    for step in range(int(batches.steps_per_epoch)):
        ids, parts, lengths, scores, targets = batches[step]
        assert 0 <= ids.min() <= ids.max() < encoder.vocab_size
        assert 0 <= parts.min(initial=0) <= parts.max(initial=0) <= encoder.part_buckets
        assert lengths.min() > 0
        assert np.isfinite(scores).all()
        assert targets.sum(1).min() > 0
        texts += len(ids)
    assert texts == dataset.length("train")


def _used(encoder: LabelEncoder) -> None:
    """Odd and empty texts have ids, and scores of every label."""
    forms = Forms(encoder)
    texts = [ODD, "", "look at the cat"]
    rows = [forms.row(text) for text in texts]
    ids, _ = forms.arrays()
    assert all(len(row) for row in rows)
    assert 0 <= ids.min() <= ids.max() < encoder.vocab_size
    grams = [encoder.grams(text) for text in texts]
    for scores in (encoder.bayes.scores(grams), encoder.linear_scores(grams)):
        assert scores.shape == (len(texts), len(encoder.labels))
        assert np.isfinite(scores).all()
