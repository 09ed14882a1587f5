"""Groups C and E: texts cut anywhere, documents, and a corpus that the runs are in.

A text is cut where a file breaks off, where a sample is saved, and where a training is killed; what
is read, written or trained afterwards must be what it is without the cut.
"""

import itertools
import random
import time
from functools import cache
from pathlib import Path

from charrnn import api
from charrnn.checkpoints.run import Run
from charrnn.config import CELLS
from charrnn.data.decoding import decode
from charrnn.data.reading import Tally
from charrnn.errors import CorpusError
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tokenizers import TOKENIZERS
from tests.inference.test_cuts import OPTIONS, TEXT, pieces
from tests.support.processes import Child, program, ran
from tests.support.shell import TINY, Shell, sentences
from tests.support.tiny import tiny_run
from tests.torture.rows import Outcome, Outcomes, Row, some, verdict

LETTERS = {
    "utf-8": "abc\n\réß中日😀𝄞\u0301", "utf-16-le": "ab\né中😀𝄞", "utf-16-be": "ab\né中😀𝄞",
    "utf-32-le": "ab\né中😀", "utf-32-be": "ab\né中😀", "gb18030": "abc\n中文é𠀀€",
    "shift_jis": "ab\n日本ｱ語", "big5": "ab\n中文", "euc_kr": "ab\n한글",
}  # fmt: skip
"""Encodings without states, in which each letter has its own bytes, and letters for texts."""

NO_LEAD = ("utf-8", "gb18030", "shift_jis")
"""Encodings in which no character has a byte 0xff."""


def encodings(trials: int, seed: int, folder: Path) -> Outcomes:
    """E3: a file that breaks off after any byte, or has a bad byte between any two characters."""
    draw, path = random.Random(seed), folder / "text.txt"
    for _ in range(trials):
        encoding = draw.choice(list(LETTERS))
        letters = draw.choices(LETTERS[encoding], k=draw.randrange(1, 30))
        each = [letter.encode(encoding) for letter in letters]
        whole, block = b"".join(each), draw.choice((1, 2, 3, 5, 64))
        if encoding in NO_LEAD and draw.random() < 0.3:
            # At the end, codecs other than that of UTF-8 wait for what follows it.
            good = draw.randrange(len(each) + (encoding == "utf-8"))
            begin = len(b"".join(each[:good]))
            path.write_bytes(whole[:begin] + b"\xff" + whole[begin:])
            said = f"is not valid {encoding} at byte {begin} (0xff"
        else:
            end = draw.randrange(len(whole) + 1)
            # The letters that are complete.
            good = sum(end >= size for size in itertools.accumulate(map(len, each)))
            begin = len(b"".join(each[:good]))
            path.write_bytes(whole[:end])
            said = f"ends inside a {encoding} character that begins at byte {begin} in"
            said = "" if begin == end else said
        # What ends a line is counted by another method than the program's.
        lines = "".join(letters[:good]).replace("\r\n", "\n").replace("\r", "\n").count("\n")
        expected = "".join(letters[:good]), f"{said} line {1 + lines}" if said[-1:] == "n" else said
        problem = as_read(path, encoding, block, *expected)
        yield verdict(problem and f"{path.read_bytes()!r} in {encoding}: {problem}")


def as_read(path: Path, encoding: str, block: int, text: str, said: str) -> str:
    """What is wrong with how a file is read, of which this text is good and this is the error."""
    try:
        found = "".join(decode(path, encoding, False, "strict", Tally(), block))
        if said or found != text:
            return f"read as {found!r}, without the error {said!r}"
    except CorpusError as error:
        if not said or said not in str(error):
            return f"{error}, not {said!r}"
    skipped = "".join(decode(path, encoding, False, "skip", Tally(), block))
    replaced = "".join(decode(path, encoding, False, "replace", Tally(), block))
    if not skipped.startswith(text) or not replaced.startswith(text):
        return f"without what is wrong: {skipped!r}, {replaced!r}"
    return "" if bool(said) == ("\ufffd" in replaced) else f"replaced: {replaced!r}"


def documents(trials: int, seed: int, folder: Path) -> Outcomes:
    """E8: documents of each kind, with each tokenizer and cell: whole, in one part, resumed."""
    cases = list(itertools.product(("line", "blank", "file"), TOKENIZERS, CELLS))
    for number, case in enumerate(some(cases, trials, seed)):
        problem = as_documents(folder / str(number), random.Random(seed + number), *case)
        yield verdict(problem and f"{case}: {problem}")


def as_documents(folder: Path, draw: random.Random, kind: str, tokenizer: str, cell: str) -> str:
    """What is wrong with a training on documents that is killed and resumed."""
    shell = Shell(folder)
    # Of few words, so that the word tokenizer knows all of them in each part.
    made = [" ".join(draw.choices("abcdefgh", k=8)) for _ in range(80)] * 2
    end = "\n" if kind == "line" else " is\nhere\n\n"
    if kind == "file":
        for place, name in enumerate(made):
            shell.write(f"texts/{place}.txt", name + end)
    else:
        shell.write("texts/all.txt", "".join(name + end for name in made))
    words = ("train", "texts", *TINY, "--documents", kind, "--tokenizer", tokenizer, "--cell", cell)
    often = ("--steps", "30", "--save-every", "1", "--eval-every", "7", "--quiet", "--json")
    whole = ran(folder, *words, *often, "--name", "whole")
    child = Child(program(folder, *words, *often, "--name", "killed"))
    child.await_text(b'"saved"', 1)
    time.sleep(draw.uniform(0.0, 0.05))
    child.kill()
    child.finish()
    again = ran(folder, "train", "--resume", "--name", "killed", "--quiet")
    if whole.code or again.code or shell.weights("killed") != shell.weights("whole"):
        return f"resumed it differs: {whole} {again}"
    model: LanguageModel = api.load(shell.runs / "killed", checkpoint="latest", threads=1)
    assert model.corpus is not None
    ended = model.tokenizer.start_id
    parts = []
    for split in model.corpus.splits.values():
        tokens = split.load()
        if tokens[-1] != ended:
            return "a part does not end with a document"
        text = model.tokenizer.decode([i if i != ended else model.tokenizer.newline_id
                                       for i in tokens.tolist()])  # fmt: skip
        parts.append({name for name in made if name in text})
    if parts[0] & parts[1] or len(parts[0] | parts[1]) != len(set(made)):
        return f"{len(parts[0] & parts[1])} documents in both parts"
    measured = shell.run("evaluate", "killed", "--file", "texts", "--json").json[0]["characters"]
    trained = model.corpus.characters
    return "" if measured == trained else f"{measured} characters measured, {trained} trained on"


def states(trials: int, seed: int, folder: Path) -> Outcomes:
    """C2: a sample that is saved and loaded between any two tokens, with every option."""
    draw = random.Random(seed)

    @cache
    def model(name: str) -> LanguageModel:
        size = {"vocab_size": 340} if name == "subword" else {}
        run = tiny_run(folder / name, name, TEXT, **size)
        loaded: LanguageModel = api.load(run, checkpoint="latest", threads=1)
        return loaded

    @cache
    def whole(name: str, option: str) -> tuple[str, str | None]:
        texts, finishes = pieces(model(name), [60], option, folder / "state")
        return texts[0], finishes[-1]

    cases = [
        case
        for case in itertools.product(TOKENIZERS, OPTIONS, range(1, 60))
        # Words of this text cannot satisfy them.
        if case[0] != "word" or case[1] not in ("allow", "regex", "no-copy")
    ]
    for name, option, cut in some(cases, trials, seed):
        lengths = [cut, 60 - cut]
        if cut % 5 == 0:
            cuts = sorted({0, cut, 60, *draw.choices(range(1, 60), k=6)})
            lengths = [end - begin for begin, end in itertools.pairwise(cuts)]
        texts, finishes = pieces(model(name), lengths, option, folder / "state")
        found = "".join(texts), finishes[-1]
        same = found == whole(name, option)
        yield verdict("" if same else f"{name}, {option}, {lengths}: {texts}, {finishes}")


def own_output(trials: int, seed: int, folder: Path) -> Outcomes:
    """C6: the runs are in the folder of the corpus; each is killed, and resumed."""
    draw = random.Random(seed)
    places = [Shell(folder / name) for name in ("apart", "poems")]
    for shell in places:
        for number in range(1, 4):
            shell.write(f"poem{number}.txt", sentences(600, number))
    words = ("train", ".", *TINY, "--steps", "20", "--save-every", "1", "--quiet", "--json")
    expected = ran(places[0].folder, *words, "--name", "run")
    weights, shell = places[0].weights("run"), places[1]
    if expected.code:
        yield Outcome(f"undisturbed: {expected}")
    for number in range(trials):
        name = f"run{number}"
        child = Child(program(shell.folder, *words, "--name", name))
        child.await_text(b'"saved"', 1)
        time.sleep(draw.uniform(0.0, 0.1))
        child.kill()
        child.finish()
        # What comes into the folder meanwhile belongs to later runs.
        later = shell.write("poem9.txt", sentences(300, 9))
        state = ("--save-state", f"{name}.state", "--length", "9")
        sampled = ran(shell.folder, "sample", name, *state)
        again = ran(shell.folder, "train", "--resume", "--name", name, "--quiet")
        later.unlink()
        recorded = Run(shell.runs / name).description()["recipe"]["files"]
        files = [Path(file).name for file in recorded[0][1]]
        if sampled.code or again.code or files != ["poem1.txt", "poem2.txt", "poem3.txt"]:
            yield Outcome(f"{name}: {files} {sampled} {again}")
        else:
            same = shell.weights(name) == weights
            yield verdict("" if same else f"{name} differs from a run elsewhere")


ROWS = (
    Row("C2", "a sample cut between any two tokens",
        "in process: every tokenizer x 11 options of sampling x every cut, every fifth at several "
        "places, with a state file saved and loaded at each; the joined text and why it ended are "
        "those of the uninterrupted sample",
        "cuts", 4, 10**6, states),
    Row("C6", "the runs are in the folder of the corpus",
        "the program is forked, killed and resumed, while runs, checkpoints, a state file and a "
        "new text lie in the folder: weights as elsewhere, and the recorded files are the texts",
        "trainings", 1, 100, own_output),
    Row("E3", "files that break off, bad bytes",
        "in process: random texts in 9 encodings, cut after any byte or with 0xff between any two "
        "characters, in blocks of 1 to 64 bytes: the error names the cut or the byte, its offset "
        "and line; --errors skip and replace keep what is good",
        "texts", 500, 100_000, encodings),
    Row("E8", "documents",
        "the program is forked: lines, files and what is between blank lines x 4 tokenizers x 3 "
        "cells, killed and resumed: weights as undisturbed, each document whole and in one part, "
        "and as many characters measured as trained on",
        "trainings", 1, 10**6, documents),
)  # fmt: skip
