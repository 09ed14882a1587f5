"""Another program: uses an exported ONNX file by its own document, and knows nothing of charrnn.

Written from the text in such a file. It imports what such a program would: numpy, onnxruntime, and
for their tokenizers sentencepiece and regex.

    python onnx_reader.py MODEL TEXT_FILE PROMPT LENGTH
"""

import base64
import importlib
import itertools
import json
import math
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

END = "\ufdd0"


class Reader:
    """A file -> encode, score, and sample greedily."""

    def __init__(self, path: Path) -> None:
        self.session = onnxruntime.InferenceSession(str(path))
        meta = self.session.get_modelmeta()
        entries = meta.custom_metadata_map
        assert entries["charrnn.format"] == "2"
        self.document = meta.graph_description
        self.use: dict[str, Any] = json.loads(entries["charrnn.use"])
        self.tokenizer: dict[str, Any] = json.loads(entries["charrnn.tokenizer"])
        self.kind = self.tokenizer["name"]

    def read(self, raw: bytes) -> str:
        """FILES: the bytes of a file -> the text that is given to the model."""
        text = raw.decode()
        if self.use["line_ends"] == "convert":
            text = re.sub("\r\n|[\r\x0b\x0c\x85\u2028\u2029]", "\n", text)
        if self.use["documents"] == "line":
            lines = text.removesuffix("\n").split("\n")
            return "".join(line.rstrip(" ") + "\n" for line in lines if line.strip())
        if self.use["documents"] == "file":
            return text.strip("\n") + END
        if self.use["documents"] == "blank":
            blocks = re.split(r"\n(?:\s*\n)+", text)
            return "".join(block.strip("\n") + END for block in blocks if block.strip())
        return text

    def encode(self, text: str) -> tuple[list[int], list[str]]:
        """TEXT TO IDS: the ids, and the unknown tokens."""
        ids: list[int] = []
        unknown: list[str] = []
        marked = self.use["end_id"] is not None and self.use["end_id"] != self.use["newline_id"]
        for number, part in enumerate(text.split(END) if marked else [text]):
            ids += [self.use["end_id"]] * (number > 0)
            found = getattr(self, f"_{self.kind}")(part)
            if self.kind == "word":
                found, more = found
                unknown += more
            ids += found
        return ids, unknown

    def _char(self, text: str) -> list[int]:
        known = {c: 16 + i for i, c in enumerate(self.tokenizer["characters"])}
        ids: list[int] = []
        for c in text:
            spelled = [half for byte in c.encode() for half in (byte >> 4, byte & 15)]
            ids += [known[c]] if c in known else spelled
        return ids

    def _byte(self, text: str) -> list[int]:
        return list(text.encode())

    def _word(self, text: str) -> tuple[list[int], list[str]]:
        known = {word: 1 + i for i, word in enumerate(self.tokenizer["words"])}
        module = importlib.import_module(self.use["pattern_of"])
        tokens = module.findall(self.use["pattern"], text)
        assert "".join(tokens) == text
        return [known.get(t, 0) for t in tokens], [t for t in tokens if t not in known]

    def _subword(self, text: str) -> list[int]:
        from sentencepiece import SentencePieceProcessor

        model = SentencePieceProcessor(model_proto=base64.b64decode(self.tokenizer["model"]))
        ids: list[int] = []
        for part in re.findall(rf"\n|[^\n]{{1,{self.use['line_limit']}}}", text):
            if part == "\n":
                ids.append(self.use["newline_id"])
                continue
            for run in re.split("([\0\u2581]+)", part):
                special = run[:1] in ("\0", "\u2581")
                spelled = [self.use["byte_ids"][b] for b in run.encode()]
                ids += spelled if special else model.encode(run)
        return ids

    def decode(self, ids: list[int]) -> str:
        """IDS TO TEXT."""
        raw, high = bytearray(), ""
        for i in ids:
            digits = self.use["bytes"][i]
            if len(digits) == 1:
                if high:
                    raw += bytes.fromhex(high + digits)
                high = "" if high else digits
                continue
            raw += (b"\xff" if high else b"") + bytes.fromhex(digits)
            high = ""
        return raw.decode("utf-8", "replace")

    def logits(self, ids: list[int], state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """THE NETWORK: ids of one text -> logits (T, V) and the state after them."""
        found = []
        begins = [t for t, i in enumerate(ids) if t and i == self.use["reset_id"]]
        for begin, end in itertools.pairwise([0, *begins, len(ids)]):
            if ids[begin] == self.use["reset_id"]:
                state = self.zeros()
            more, state = self._run(ids[begin:end], state)
            found.append(more)
        return np.concatenate(found), state

    def _run(self, ids: list[int], state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        names = ["logits", *(f"{name}.after" for name in self.use["state"])]
        by_sequence = len(self.session.get_inputs()[0].shape) == 2
        rows = []
        for each in [ids] if by_sequence else ids:
            given = np.array(each).reshape((-1, 1) if by_sequence else 1)
            found, *after = self.session.run(names, {"ids": given, **state})
            state = dict(zip(self.use["state"], after, strict=True))
            rows.append(found.reshape(-1, found.shape[-1]))
        return np.concatenate(rows).astype(np.float64), state

    def zeros(self) -> dict[str, Any]:
        """The state before a text."""
        sizes = {each.name: each.shape[-1] for each in self.session.get_inputs()}
        return {name: np.zeros((1, sizes[name]), np.float32) for name in self.use["state"]}

    def score(self, text: str) -> float:
        """SCORING: the natural log-probability of a text."""
        ids, unknown = self.encode(text)
        before = [self.use["start_id"], *ids[:-1]]
        logits, _ = self.logits(before, self.zeros())
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        floor, parts = self.use["floor"], set(self.use["parts"])
        total = 0.0
        for t, i in enumerate(ids):
            found = p[t, i]
            if floor is not None:
                m = floor["after_part" if before[t] in parts else "after_whole"]
                found = (1 - m) * found + (m / len(floor["rare"]) if i in floor["rare"] else 0)
            total += math.log(found)
        if self.use.get("letters") is not None:
            total += sum(map(Letters(self.use["letters"]).score, unknown))
        return total

    def greedy(self, prompt: str, length: int) -> str:
        """SAMPLING, greedily: a prompt and its continuation."""
        logits, state = self.logits([self.use["start_id"], *self.encode(prompt)[0]], self.zeros())
        ids: list[int] = []
        while len(ids) < length:
            row = logits[-1]
            row[self.use["never_sampled"]] = -np.inf
            i = int(row.argmax())
            if i == self.use["end_id"]:
                break
            ids.append(i)
            logits, state = self.logits([i], state)
        return prompt + self.decode(ids)


class Letters:
    """The probability of an unknown token, by its characters."""

    def __init__(self, tokens: list[str]) -> None:
        self.n: dict[str, Counter[str]] = defaultdict(Counter)
        for token in tokens:
            for at, c in enumerate([*token, ""]):
                for size in range(4):
                    if size <= at:
                        self.n[token[at - size : at]][c] += 1

    def score(self, token: str) -> float:
        """The natural logarithm of a token's P."""
        found = enumerate([*token, ""])
        return sum(math.log(self.p(token[max(0, at - 3) : at], c)) for at, c in found)

    def p(self, context: str, c: str) -> float:
        """The probability of a character, or the end, after a context."""
        sizes = {1: 128, 2: 1920, 3: 63488, 4: 1048576}
        q = 1 / 5 if c == "" else 1 / (5 * sizes[len(c.encode())])
        if context:
            q = self.p(context[1:], c)
        n = self.n.get(context)
        return q if not n else (n[c] + len(n) * q) / (n.total() + len(n))


def main() -> None:
    """Print the score of a file and a greedy sample, as JSON."""
    model, file, prompt, length = sys.argv[1:]
    reader = Reader(Path(model))
    text = reader.read(Path(file).read_bytes())
    found = {"score": reader.score(text), "sample": reader.greedy(prompt, int(length))}
    assert not [name for name in sys.modules if name.startswith("charrnn")]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
