"""The document in an exported file is enough for a program that knows nothing of charrnn."""

import ast
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from charrnn.checkpoints.checkpoint import Checkpoint, save
from charrnn.config import parameter_shapes
from charrnn.inference.graphs import OPERATORS, export
from charrnn.inference.onnx_document import READING, use
from charrnn.tokenizers import TOKENIZERS, from_json
from charrnn.tokenizers.base import Tokenizer
from charrnn.tokenizers.documents import END, DocumentTokenizer
from tests.support import onnx_reader
from tests.support.onnx_reader import Reader
from tests.support.shell import Shell
from tests.support.tiny import smallest_checkpoint

LEARNED = "The miller's cat sat.\nWho sat? The old cat, of course!\nAnd the mill went round.\n" * 4
RARE = "One zebra, é and \U0001f600: seen once. Ten quick words more vanish only here now; truly.\n"

STRANGE = (
    "The mill\u2581er's c\u00e0t \u732b \U0001f680\u200d sat.\n\nWho\tsaw 7 Zebras?  \n"
    "Zebra \u0915\u094d\u0937 sat.\n"
)
"""Characters and words that the tokenizers know, know as rare ones, and do not know."""


def learned(name: str, documents: str) -> Tokenizer:
    """A tokenizer with what is rare, unseen or without an id, and with the floor of its tokens."""
    settings: dict[str, Any] = {"char": {"min_count": 2}, "word": {"min_count": 2}}.get(name, {})
    size = {"vocab_size": 300} if name == "subword" else {}
    text = LEARNED + RARE
    ghosts = " Ghosts!" * 3 if name == "word" else ""
    tokenizer: Tokenizer = TOKENIZERS[name].train([text + ghosts], **settings, **size)
    if documents in ("file", "blank", "chat", "tune"):
        tokenizer, text = DocumentTokenizer(tokenizer), text + END
    tokenizer.learn_floor(tokenizer.encode(text))
    assert tokenizer.floor is not None
    return tokenizer


def model_of(name: str, cell: str, documents: str = "", resets: bool = False) -> Checkpoint:
    """A checkpoint with random weights; large enough ones, so that no two logits are close."""
    tokenizer = learned(name, documents)
    shape: dict[str, Any] = {"cell": cell, "hidden_size": 8, "embedding_size": 8, "num_layers": 2}
    made = smallest_checkpoint(training=False, tokenizer=name, **shape)
    config = replace(
        made.config,
        vocab_size=tokenizer.vocab_size,
        reset_id=tokenizer.start_id if resets else -1,
    )
    generator = np.random.default_rng(3)
    weights = {
        key: generator.normal(0, 0.8, size).astype(np.float32)
        for key, size in parameter_shapes(config).items()
    }
    corpus = made.info.corpus | ({"documents": documents} if documents else {})
    info = replace(made.info, corpus=corpus, lines=documents == "line")
    return replace(made, config=config, encoder=tokenizer, weights=weights, info=info)


def exported(shell: Shell, checkpoint: Checkpoint) -> Reader:
    """The reader of its ONNX file, with the checkpoint beside it for charrnn itself."""
    save(checkpoint, shell.folder / "model.safetensors")
    export(checkpoint, shell.folder / "model.onnx")
    return Reader(shell.folder / "model.onnx")


def agree(shell: Shell, reader: Reader, raw: bytes, prompt: str) -> None:
    """The reader scores a file and continues a prompt as charrnn does."""
    file = shell.write("text.txt", raw)
    (known,) = shell.run("score", "model.safetensors", file, "--json").succeeded().json
    assert reader.score(reader.read(raw)) == pytest.approx(known["log_likelihood"], rel=1e-4)
    words = ("--prompt", prompt, "--greedy", "--length", "60", "--json")
    (sample,) = shell.run("sample", "model.safetensors", *words).succeeded().json
    assert reader.greedy(prompt, 60) == sample["prompt"] + sample["text"]


@pytest.mark.parametrize("cell", OPERATORS)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_program_with_nothing_but_the_file_scores_and_samples_as_charrnn(
    name: str, cell: str, shell: Shell
) -> None:
    reader = exported(shell, model_of(name, cell))
    agree(shell, reader, (LEARNED[:200] + STRANGE).encode(), "The c\u00e0t Zebra \u732b")


@pytest.mark.parametrize("resets", [True, False])
# Chats and tunes are read from many forms: their document says what text they become, not how.
@pytest.mark.parametrize("documents", [each for each in READING if each not in ("chat", "tune")])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_so_does_it_where_the_text_is_documents(
    name: str, documents: str, resets: bool, shell: Shell
) -> None:
    reader = exported(shell, model_of(name, "gru", documents, resets))
    raw = (STRANGE + "\n \n" + LEARNED[:200].replace("\n", "\r\n") + "\u2028no end").encode()
    agree(shell, reader, raw, "Who\nsat")


def test_so_does_it_with_a_cell_that_is_read_token_by_token(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("graphs", "engine"):
        monkeypatch.setattr(f"charrnn.inference.{module}.OPERATORS", {})
    reader = exported(shell, model_of("char", "lstm"))
    assert "int64 (B,)" in reader.document
    agree(shell, reader, STRANGE.encode(), "The c\u00e0t Zebra \u732b")


@pytest.mark.parametrize("name", TOKENIZERS)
def test_sampling_ends_at_the_end_of_a_document(name: str, shell: Shell) -> None:
    model = model_of(name, "lstm", "blank")
    bias = model.weights["output.bias"]
    bias[:] = -9.0
    bias[model.tokenizer.start_id] = 9.0
    reader = exported(shell, model)
    assert reader.greedy("The", 60) == "The"
    agree(shell, reader, b"The", "The")


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_ids_that_training_never_held_are_not_sampled(name: str, shell: Shell) -> None:
    model = model_of(name, "rnn")
    unseen = model.tokenizer.unsampled
    assert unseen
    model.weights["output.bias"][unseen] = 99.0
    reader = exported(shell, model)
    agree(shell, reader, b"The mill", "The")


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_without_a_floor_has_none_in_its_document(name: str, shell: Shell) -> None:
    model = model_of(name, "rnn")
    model.tokenizer.floor = None
    # As in a file of version 0.1, which says of some tokenizers alone what is not sampled.
    model = replace(model, encoder=from_json(model.tokenizer.to_json()))
    reader = exported(shell, model)
    assert reader.use["floor"] is None
    agree(shell, reader, (LEARNED[:99] + STRANGE).encode(), "The")


@pytest.mark.parametrize("text", [STRANGE, LEARNED, "a\0b\u2581\u2581c", "x" * 2001, ""], ids=ascii)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_reader_has_the_same_ids(name: str, text: str, tmp_path: Path) -> None:
    model = model_of(name, "rnn")
    export(model, tmp_path / "model.onnx")
    reader = Reader(tmp_path / "model.onnx")
    ids, unknown = reader.encode(text)
    assert ids == model.tokenizer.encode(text).tolist()
    assert unknown == model.tokenizer.spell_unknown(text)[1]
    assert reader.decode(ids) == model.tokenizer.decode(ids)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_any_ids_read_as_the_tokenizer_reads_them(name: str, tmp_path: Path) -> None:
    """Half-bytes without their second one, too, and bytes that are no UTF-8."""
    model = model_of(name, "rnn", "file")
    export(model, tmp_path / "model.onnx")
    reader, generator = Reader(tmp_path / "model.onnx"), np.random.default_rng(0)
    for _ in range(50):
        ids = generator.integers(0, model.tokenizer.vocab_size, 20).tolist()
        # An incomplete half-byte at the very end has no text.
        ids.append(model.tokenizer.newline_id)
        assert reader.decode(ids) == model.tokenizer.decode(ids)


def test_the_reader_imports_nothing_of_charrnn(shell: Shell) -> None:
    path = Path(onnx_reader.__file__)
    tree = ast.walk(ast.parse(path.read_text()))
    modules = {each.module or "" for each in tree if isinstance(each, ast.ImportFrom)}
    assert not [name for name in modules if name.startswith(("charrnn", "tests", "."))]
    expected = exported(shell, model_of("word", "lstm"))
    shell.write("text.txt", STRANGE)
    done = subprocess.run(
        [sys.executable, path, "model.onnx", "text.txt", "The", "9"],
        cwd=shell.folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["sample"] == expected.greedy("The", 9)


@pytest.mark.parametrize("documents", ["", *READING])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_key_and_name_of_the_file_is_explained_in_its_document(
    name: str, documents: str, tmp_path: Path
) -> None:
    export(model_of(name, "lstm", documents), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    text = model.graph.doc_string
    assert max(map(len, text.splitlines())) <= 100
    entries = {each.key: each.value for each in model.metadata_props}
    assert set(entries) == {"charrnn.format", "charrnn.tokenizer", "charrnn.use"}
    known = json.loads(entries["charrnn.use"])
    # Said by the document itself, in words or by its own lists.
    said = {"state", "documents", "line_ends", "newline_id", "unknown_id"}
    for key in known.keys() - said:
        assert f"`{key}" in text, key
    keys = known.keys() | json.loads(entries["charrnn.tokenizer"]).keys()
    quoted = re.findall(r"`(\w+)(?:\.(\w+))?`", text)
    assert {key for key, _ in quoted} <= keys
    assert {inner for _, inner in quoted if inner} <= {"rare", "after_whole", "after_part"}
    for each in (*model.graph.input, *model.graph.output):
        assert each.name in text or each.name.endswith(".after"), each.name


def test_line_ends_are_kept_where_the_training_text_kept_them() -> None:
    model = model_of("char", "rnn")
    assert use(model)["line_ends"] == "convert"
    kept = TOKENIZERS["char"].train([LEARNED.replace("\n", "\r\n")])
    assert use(replace(model, encoder=kept))["line_ends"] == "keep"
    assert use(model_of("byte", "rnn"))["line_ends"] == "keep"
    assert use(model_of("byte", "rnn", "line"))["line_ends"] == "convert"


def test_a_tokenizer_that_does_not_say_how_it_encodes_is_named(tmp_path: Path) -> None:
    model = model_of("byte", "rnn")
    model.tokenizer.how_to_encode = ""
    export(model, tmp_path / "model.onnx")
    text = onnx.load(tmp_path / "model.onnx").graph.doc_string
    assert "As charrnn's tokenizer byte does" in text
