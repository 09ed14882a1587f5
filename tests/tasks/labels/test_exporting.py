"""The exported file is enough: a reader that knows nothing of charrnn classifies the same."""

import base64
import json
import math
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.checkpoints import checkpoint
from charrnn.tasks.labels.encoder import weighted
from charrnn.tasks.labels.reading import Example
from tests.support.labels import (
    NAMES,
    SENTENCES,
    SEVERAL,
    assert_close,
    checkpoint_of,
    learned,
    network_of,
)


class Reader:
    """Probabilities from the file, by its document. Only of word and character tokenizers."""

    def __init__(self, path: Path) -> None:
        import onnx
        import onnxruntime

        entries = {each.key: each.value for each in onnx.load(path).metadata_props}
        self.use: dict[str, Any] = json.loads(entries["charrnn.use"])
        self.session = onnxruntime.InferenceSession(path)
        bayes = self.use["naive_bayes"]
        self.counts = {
            name: np.frombuffer(zlib.decompress(base64.b64decode(bayes[name])), "<u4").tolist()
            for name in ("of_label", "sizes", "labels", "counts")
        }

    def probabilities(self, text: str) -> np.ndarray:
        """A text -> the probability of each label."""
        pairs = self.tokens(text)
        wide = max(len(parts) for _, parts in pairs)
        empty = self.use["part_buckets"]
        feed = {
            "ids": np.array([[i for i, _ in pairs]], np.int64),
            "parts": np.array(
                [[[*parts, *[empty] * (wide - len(parts))] for _, parts in pairs]], np.int64
            ).reshape(1, len(pairs), wide),
            "lengths": np.array([len(pairs)], np.int64),
            "scores": np.array([self.scores(text)], np.float32),
            "linear": np.array([self.linear(text)], np.float32),
        }
        found: np.ndarray = self.session.run(["probabilities"], feed)[0][0]
        return found

    def tokens(self, text: str) -> list[tuple[int, list[int]]]:
        """A text -> the id of each token, and its parts."""
        use, plain = self.use, " ".join(text.split())
        if not use["words"]:
            known, none = use["tokenizer"]["characters"], (use["no_id"], list[int]())
            found: list[tuple[int, list[int]]] = []
            for c in plain:
                # Any other character is two ids of each of its bytes, which are all odd.
                odd = [none] * (2 * len(c.encode()))
                found += [(16 + known.index(c), [])] if c in known else odd
            return found or [none]
        import regex

        words = use["tokenizer"]["words"]
        result = []
        for word in regex.findall(use["pattern"], f" {plain.lower()}") if plain else []:
            whole = f"<{word.strip()[: use['most_parts']]}>"
            parts = [
                whole[i : i + n] for n in use["part_sizes"] for i in range(len(whole) - n + 1)
            ][: use["most_parts"]]
            own = [zlib.crc32(part.encode()) % use["part_buckets"] for part in parts]
            result.append((1 + words.index(word) if word in words else use["no_id"], own))
        return result or [(use["no_id"], [])]

    def grams(self, text: str) -> set[int]:
        """A text -> the buckets of its n-grams."""
        use, bayes = self.use, self.use["naive_bayes"]
        text = text.strip()[: use["longest_grams"]]
        joint = " " if bayes["kind"] == "words" else ""
        units = re.findall(r"\w+|[^\w\s]", text.lower()) if joint else list(text)
        units = ["^", *units, "$"]
        return {
            zlib.crc32(joint.join(units[i : i + n]).encode()) % (1 << bayes["bits"])
            for n in range(1, use["most_grams"] + 1)
            for i in range(len(units) - n + 1)
        }

    def linear(self, text: str) -> list[float]:
        """A text -> the linear model's logit of each label."""
        use, sizes, of_label = self.use, self.counts["sizes"], self.counts["of_label"]
        table, bias = (
            np.frombuffer(zlib.decompress(base64.b64decode(use["linear"][name])), "<f2")
            for name in ("weights", "bias")
        )
        total = max(use["naive_bayes"]["texts"], sum(of_label))
        found = [float(each) for each in bias]
        values: dict[int, float] = {}
        for bucket in self.grams(text):
            if sizes[bucket]:
                begin = sum(sizes[:bucket])
                times = sum(self.counts["counts"][begin : begin + sizes[bucket]])
                values[bucket] = math.log((1 + total) / (1 + times)) + 1
        norm = math.sqrt(sum(value * value for value in values.values()))
        for bucket, value in values.items():
            row = sum(size > 0 for size in sizes[:bucket])
            for n in range(len(found)):
                found[n] += value / norm * float(table[row * len(found) + n])
        return found

    def scores(self, text: str) -> list[float]:
        """A text -> naive Bayes' score of each label."""
        use, bayes, grams = self.use, self.use["naive_bayes"], self.grams(text)
        sizes, count, a = self.counts["sizes"], len(use["labels"]), bayes["smoothing"]
        entries = list(zip(self.counts["labels"], self.counts["counts"], strict=True))
        of_label, totals = self.counts["of_label"], [0] * count
        for label, times in entries:
            totals[label] += times
        space, whole = a * sum(size > 0 for size in sizes), sum(totals)
        found = [0.0] * count
        for bucket in grams:
            begin = sum(sizes[:bucket])
            own = dict(entries[begin : begin + sizes[bucket]])
            for n in range(count):
                c, all_ = own.get(n, 0), sum(own.values())
                found[n] += math.log(c + a) - math.log(totals[n] + space)
                if use["multiple"]:
                    found[n] -= math.log(all_ - c + a) - math.log(whole - totals[n] + space)
        for n in range(count):
            found[n] += math.log(of_label[n] + 1)
            if use["multiple"]:
                found[n] -= math.log(bayes["texts"] - of_label[n] + 1)
        most = 0.0 if use["multiple"] else max(found)
        return [(each - most) / math.sqrt(max(1, len(grams))) for each in found]


@pytest.mark.parametrize(
    "examples",
    [
        pytest.param(SENTENCES, id="words"),
        pytest.param(NAMES, id="characters"),
        pytest.param(SEVERAL, id="several labels"),
    ],
)
def test_another_program_classifies_the_same(tmp_path: Path, examples: list[Example]) -> None:
    encoder = weighted(learned(examples), (0.7, 0.6, 0.5))
    checkpoint.save(checkpoint_of(encoder, network_of(encoder)), tmp_path / "x.safetensors")
    model: Any = charrnn.load(tmp_path / "x.safetensors")
    reader = Reader(model.save(tmp_path / "x.onnx"))
    assert reader.use["labels"] == list(model.labels)
    for text in (examples[3].text, " a  Cat and a zebra!", "", "\u05d7\u05ea\u05d5\u05dc dog"):
        assert_close(reader.probabilities(text), model.probabilities([text])[0])
