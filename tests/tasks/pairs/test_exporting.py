"""The exported files are enough: a reader that knows nothing of charrnn translates the same."""

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.checkpoints import checkpoint
from charrnn.tasks.pairs.reading import Pair
from tests.support.pairs import PAIRS, SPLIT, checkpoint_of, learned, network_of


class Reader:
    """Greedy decoding from the two files, by their document. Of character tokenizers."""

    def __init__(self, path: Path) -> None:
        import onnx
        import onnxruntime

        step = path.with_name(f"{path.stem}.step.onnx")
        entries = {each.key: each.value for each in onnx.load(path).metadata_props}
        self.use: dict[str, Any] = json.loads(entries["charrnn.use"])
        self.encoder = onnxruntime.InferenceSession(path)
        self.step = onnxruntime.InferenceSession(step)

    def translate(self, text: str) -> str:
        """A source -> its target."""
        source, target = self.use["source"], self.use["target"]
        known, copied = self.encode(text.strip(), source)
        ids = [*known, source["end_id"]]
        feed = {"source": np.array([ids]), "lengths": np.array([len(ids)])}
        keys, values, mask, first = self.encoder.run(["keys", "values", "mask", "first"], feed)
        state = {name: np.zeros_like(first) for name in self.use["states"]} | {"0.h": first}
        copies = [place for place, i in enumerate(ids) if i == source["copy_id"]]
        last, written = target["end_id"], b""
        names = ["logits", "attention", *(f"{name}.after" for name in state)]
        for _ in range(math.ceil(self.use["ratio"] * len(ids)) + 10):
            feed = {"ids": np.array([last]), "keys": keys, "values": values, "mask": mask} | state
            logits, attention, *after = self.step.run(names, feed)
            state = dict(zip(state, after, strict=True))
            out = [*target["never_written"], *([] if copies else [target["copy_id"]])]
            logits[0, out] = -np.inf
            last = int(logits[0].argmax())
            if last == target["end_id"]:
                break
            if last == target["copy_id"]:
                place = max(copies, key=lambda place: attention[0, place])
                written += copied[copies.index(place)].encode()
            else:
                written += self._bytes(target["bytes"][last])
        return written.decode("utf-8", "replace")

    def encode(self, text: str, source: dict[str, Any]) -> tuple[list[int], list[str]]:
        """A source -> its ids, and the characters that are copied."""
        own = source["tokenizer"]["characters"]
        ids = [16 + own.index(c) if c in own else source["copy_id"] for c in text]
        return ids, [c for c in text if c not in own]

    def _bytes(self, digits: str) -> bytes:
        # A half-byte has one digit; initial networks hardly write two that make a character.
        return bytes.fromhex(digits) if len(digits) % 2 == 0 else b"?"


class SubwordReader(Reader):
    """The same of a subword tokenizer: sentencepiece, with what has no piece copied."""

    def encode(self, text: str, source: dict[str, Any]) -> tuple[list[int], list[str]]:
        """As the document says: parts between characters that would become bytes."""
        from sentencepiece import SentencePieceProcessor

        model = base64.b64decode(source["tokenizer"]["model"])
        processor = SentencePieceProcessor(model_proto=model)
        ids: list[int] = []
        copied: list[str] = []
        run = ""
        for character in text:
            alone = processor.encode(character)
            if character != "\u2581" and not set(alone) & set(source["byte_ids"]):
                run += character
                continue
            ids += [*processor.encode(run), source["copy_id"]]
            copied.append(character)
            run = ""
        return [*ids, *processor.encode(run)], copied


@pytest.mark.parametrize(
    "text", ["afi ehn", "  bgm afi ehn cgl ", "a\u00e9f ehn", "\u2581afi \u05e9\u05dc\u05d5\u05dd"]
)
def test_another_program_translates_subwords_the_same(tmp_path: Path, text: str) -> None:
    pairs = [
        Pair(f"{one.source} {other.source} {one.target}", f"{other.source} {one.source}")
        for one, other in zip(PAIRS, PAIRS[7:], strict=False)
    ]
    encoder = learned(pairs, "subword")
    network = network_of(encoder)
    # Bytes are no characters by themselves, and a copy is what shows that sources are read alike.
    network.output.bias.data[: 256 + 2] = -30.0  # type: ignore[operator]
    network.output.bias.data[encoder.target.copy_id] = 3.0  # type: ignore[operator]
    checkpoint.save(checkpoint_of(encoder, network), tmp_path / "x.safetensors")
    model: Any = charrnn.load(tmp_path / "x.safetensors")
    found = SubwordReader(model.save(tmp_path / "x.onnx")).translate(text)
    assert found.replace("\n", " ") == model.translate(text, beam=1)
    assert len(found) > 0


@pytest.mark.parametrize("text", ["afi", "ehn", "bgmafi", "aéf"])
def test_another_program_translates_the_same(tmp_path: Path, text: str) -> None:
    encoder = learned(PAIRS)
    network = network_of(encoder)
    # Half-bytes are no characters by themselves.
    network.output.bias.data[:16] = -30.0  # type: ignore[operator]
    checkpoint.save(checkpoint_of(encoder, network), tmp_path / "x.safetensors")
    model: Any = charrnn.load(tmp_path / "x.safetensors")
    found = Reader(model.save(tmp_path / "x.onnx")).translate(text)
    # Line ends that a model writes are spaces in a line of output.
    assert found.replace("\n", " ") == model.translate(text, beam=1)
    assert len(found) > 0


def test_two_vocabularies_have_two_descriptions(tmp_path: Path) -> None:
    import onnx

    encoder = learned(SPLIT)
    checkpoint.save(checkpoint_of(encoder, network_of(encoder)), tmp_path / "x.safetensors")
    said = onnx.load(charrnn.load(tmp_path / "x.safetensors").save(tmp_path / "x.onnx"))
    assert "OF THE SOURCE, a word tokenizer" in said.graph.doc_string
    assert "OF THE TARGET, a char tokenizer" in said.graph.doc_string
