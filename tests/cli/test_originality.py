"""`charrnn originality`: what of a text is copied from the corpus, as a table and as JSON."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints.run import Run
from charrnn.cli import originality
from charrnn.cli.terminal import visible
from charrnn.tokenizers import TOKENIZERS
from tests.support.shell import Done, Shell
from tests.support.tiny import TEXT, tiny_run

COPY = "And the mill went round."
LONG = TEXT[5:105]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with a run called tiny; its index is built by whoever comes first."""
    shell = Shell(tmp_path_factory.mktemp("originality"))
    tiny_run(shell.runs)
    return shell


def result(shell: Shell, text: str, *args: str) -> dict[str, Any]:
    """The one object of --json."""
    done = shell.run("originality", "-", "--json", *args, stdin=text.encode()).succeeded()
    assert done.err == ""
    (found,) = done.json
    return found


def test_json_has_the_copied_fraction_and_the_spans_longest_first(folder: Shell) -> None:
    text = f"xx{COPY}xx{LONG}xx"
    found = result(folder, text)
    assert set(found) == {"characters", "copied_share", "longest", "spans"}
    assert found["characters"] == len(text)
    assert found["longest"] == 100
    assert found["copied_share"] == pytest.approx(124 / len(text))
    assert [(s["begin"], s["length"], s["text"]) for s in found["spans"]] == [
        (28, 100, LONG), (2, 24, COPY),
    ]  # fmt: skip


def test_a_span_has_its_line_in_the_corpus(folder: Shell) -> None:
    corpus = (folder.runs / "tiny" / "corpus" / "train.txt").read_text()
    (span,) = result(folder, "xx" + COPY + "xx")["spans"]
    names = ("begin", "length", "corpus_line", "text", "part", "file", "line")
    assert tuple(span) == names
    # A run that does not say how it was started has no files.
    assert (span["part"], span["file"], span["line"]) == ("train", None, None)
    line = corpus.splitlines()[span["corpus_line"] - 1]
    assert line == COPY


def test_a_text_without_copies_has_no_spans(folder: Shell) -> None:
    assert result(folder, "Zyx!" * 20) == {
        "characters": 80, "copied_share": 0.0, "longest": 0, "spans": [],
    }  # fmt: skip
    done = folder.run("originality", "-", stdin=b"Zyx!" * 20).succeeded()
    assert done.out == (
        "0.0% of 80 characters stand in the corpus in spans of 20 or more; the longest has 0\n"
    )


def test_an_empty_text_copies_nothing(folder: Shell) -> None:
    assert result(folder, "")["copied_share"] == 0.0
    assert folder.run("originality", "-").succeeded().out.startswith("0.0% of 0 characters")


def test_the_whole_corpus_is_one_copy(folder: Shell) -> None:
    text = TEXT[:500]
    found = result(folder, text)
    assert (found["copied_share"], found["longest"]) == (1.0, 500)
    assert [span["begin"] for span in found["spans"]] == [0]


@pytest.mark.parametrize(("shortest", "count"), [("24", 1), ("25", 0), ("2", 1)])
def test_what_makes_a_copy_can_be_set(shortest: str, count: int, folder: Shell) -> None:
    assert len(result(folder, f"§{COPY}§", "--shortest", shortest)["spans"]) == count


@pytest.mark.parametrize(("show", "count"), [("0", 0), ("1", 1), ("2", 2), ("9", 3)])
def test_only_so_many_copies_are_shown_but_all_are_counted(
    show: str, count: int, folder: Shell
) -> None:
    text = "§".join([COPY, LONG, COPY])
    found = result(folder, text, "--show", show)
    assert len(found["spans"]) == count
    assert found["longest"] == 100
    assert found["copied_share"] == pytest.approx(148 / 150)


@pytest.mark.parametrize("option", ["--shortest", "--show"])
def test_numbers_have_bounds(option: str, folder: Shell) -> None:
    low = "1" if option == "--shortest" else "-1"
    folder.run("originality", "-", option, low).failed(2, option)
    folder.run("originality", "-", option, "1000001").failed(2, option)


def test_the_table_names_length_place_line_and_text(folder: Shell) -> None:
    path = folder.write("text.txt", f"xx{COPY}xx{LONG}xx")
    done = folder.run("originality", path).succeeded()
    first, head, *rows = map(str.rstrip, done.out.splitlines())
    assert first == (
        "95.4% of 130 characters stand in the corpus in spans of 20 or more; the longest has 100"
    )
    assert head.split() == ["length", "at", "part", "place", "text"]
    assert [row.split()[:2] for row in rows] == [["100", "28"], ["24", "2"]]
    assert rows[1].endswith(COPY)
    # A newline has a sign, and a long text is shortened.
    short = f"{LONG[:40]} ... {LONG[-15:]}".replace("\n", "\N{RETURN SYMBOL}")
    assert rows[0].endswith(short)
    assert done.err == ""


def test_files_lines_and_parts_are_named(copied: Shell) -> None:
    corpus = (copied.folder / "corpus.txt").read_text()
    at = corpus.index("\n", len(corpus) // 2) + 1
    (span,) = result(copied, corpus[at : at + 60])["spans"]
    assert (Path(span["file"]).name, span["part"]) == ("corpus.txt", "train")
    assert span["line"] <= 1 + corpus.count("\n", 0, at)
    path = copied.write("own.txt", corpus[at : at + 60])
    assert f"corpus.txt:{span['line']} " in copied.run("originality", path).succeeded().out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\u200dx", "x"),
        ("\u0301x", "x"),
        ("a\tb\nc", "a b\N{RETURN SYMBOL}c"),
        ("x" * 39 + "é\u0301" + "y" * 20, "x" * 39 + "é ... " + "y" * 15),
        ("x" * 39 + "\u200d" + "y" * 6 + "\u200d" + "y" * 14, "x" * 39 + " ... " + "y" * 14),
    ],
)
def test_a_span_is_shown_as_it_is_on_one_line(text: str, shown: str) -> None:
    assert originality._short(text) == shown
    assert visible(originality._short(text), keep="") == shown


def test_no_table_where_no_copies_are_to_be_shown(folder: Shell) -> None:
    done = folder.run("originality", "-", "--show", "0", stdin=LONG.encode()).succeeded()
    assert done.out.count("\n") == 1


def test_a_byte_order_mark_is_no_part_of_the_text(folder: Shell) -> None:
    found = result(folder, "\ufeff" + LONG)
    assert (found["characters"], found["spans"][0]["begin"]) == (100, 0)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_copies_are_found_whatever_the_tokenizer(name: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    tiny_run(shell.runs, name)
    found = result(shell, f"xyz {COPY} xyz")
    assert found["spans"][0]["text"].strip() == COPY


def test_characters_of_several_bytes_are_counted_as_one(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    text = "Über das Café, für 7 €, weiß die Katze nichts 😀.\n" * 8
    tiny_run(shell.runs, text=text)
    found = result(shell, "ßß" + text[5:44] + "€€")
    assert (found["longest"], found["characters"]) == (39, 43)
    span = found["spans"][0]
    assert (span["begin"], span["length"], span["text"]) == (2, 39, text[5:44])


def test_a_corpus_of_lines_is_searched_line_by_line(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    names = [f"Name number {n} of many\n" for n in range(60)]
    tiny_run(shell.runs, text="".join(names), lines=True)
    found = result(shell, f"? {names[7]}")
    train = (shell.runs / "tiny" / "corpus" / "train.txt").read_text().splitlines()
    assert train[found["spans"][0]["corpus_line"] - 1] == names[7].strip()


def test_the_index_is_built_once(copied: Shell) -> None:
    corpus = (copied.folder / "corpus.txt").read_text()
    first = result(copied, corpus[:200])
    assert first["copied_share"] == 1.0
    cache = copied.runs / "corpus" / "corpus"
    before = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert result(copied, corpus[:200]) == first
    assert {path.name: path.stat().st_mtime_ns for path in cache.iterdir()} == before


def test_a_run_can_be_chosen_and_the_last_is_the_default(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    tiny_run(shell.runs, text="One two three four five six seven.\n" * 9)
    other = tiny_run(shell.runs)
    other.write_description({"turn": 2})
    assert result(shell, COPY)["copied_share"] == 1.0
    assert result(shell, COPY, "--run", "tiny")["copied_share"] == 0.0
    assert result(shell, COPY, "--run", str(other.folder))["copied_share"] == 1.0


def failed(shell: Shell, code: int, *words: str, args: tuple[str, ...] = ()) -> Done:
    done = shell.run("originality", "-", *args, stdin=COPY.encode())
    done.failed(code, *words)
    return done


def test_a_corpus_that_is_gone_is_one_line_and_3(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    run = tiny_run(shell.runs)
    shutil.rmtree(run.corpus_folder)
    failed(shell, 3, "is not next to it; train it again")


def test_a_wrong_run_or_none_is_one_line_and_2(tmp_path: Path, folder: Shell) -> None:
    failed(folder, 2, "there is no run none", args=("--run", "none"))
    failed(Shell(tmp_path), 2, "there is no run in")


def test_a_run_without_a_checkpoint_is_one_line_and_2(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    run: Run = tiny_run(shell.runs)
    run.pick("latest").path.unlink()
    failed(shell, 2, "the run tiny has no checkpoint latest")


def test_a_text_that_cannot_be_read_is_one_line_and_3(folder: Shell) -> None:
    folder.run("originality", "none.txt").failed(3, "cannot read none.txt: No such file")
    folder.run("originality", "-", stdin=b"ab\xff").failed(3, "stdin is not valid UTF-8 at byte 2")
    path = folder.write("odd.txt", b"\xe9.")
    folder.run("originality", path).failed(3, "odd.txt is not valid UTF-8 at byte 0")


def test_a_text_has_to_be_named(folder: Shell) -> None:
    folder.run("originality").failed(2, "Missing argument 'file'")
