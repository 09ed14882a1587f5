"""The exported files are enough: a reader that knows nothing of charrnn translates the same."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.checkpoints import checkpoint
from tests.support.pairs import PAIRS, SPLIT, checkpoint_of, learned, network_of


class Reader:
    """Greedy decoding from the two files, by their document. Only of character tokenizers."""

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
        characters = source["tokenizer"]["characters"]
        known = [16 + characters.index(c) if c in characters else source["copy_id"] for c in text]
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
                written += text[max(copies, key=lambda place: attention[0, place])].encode()
            else:
                written += self._bytes(target["bytes"][last])
        return written.decode("utf-8", "replace")

    def _bytes(self, digits: str) -> bytes:
        # A half-byte has one digit; initial networks hardly write two that make a character.
        return bytes.fromhex(digits) if len(digits) % 2 == 0 else b"?"


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
