"""Files of many forms -> pairs, and their split."""

from pathlib import Path

import pytest

from charrnn.data.examples import content_hash
from charrnn.errors import CharRNNError, CorpusError
from charrnn.tasks.pairs.config import PairsDataConfig
from charrnn.tasks.pairs.reading import MOST_CHARACTERS, Pair, Texts, choose, read
from tests.support.pairs import PAIRS

TSV = "".join(f"{source}\t{target}\n" for source, target in PAIRS)


def texts(folder: Path, *files: tuple[str, bytes], **options: object) -> Texts:
    """The pairs of files with these contents."""
    for name, data in files:
        (folder / name).write_bytes(data)
    names = tuple(str(folder / name) for name, _ in files)
    return read(PairsDataConfig(names, **options), folder / "spool")  # type: ignore[arg-type]


def all_pairs(found: Texts) -> list[Pair]:
    return [pair for part in found.splits.values() for pair in part]


@pytest.mark.parametrize(
    "data",
    [
        TSV, TSV.rstrip("\n"), TSV.replace("\n", "\r\n"), TSV.replace("\n", "\r"), "\ufeff" + TSV,
        TSV + "\n \n", TSV.replace("\t", " \t "), "source\ttarget\n" + TSV,
        TSV.replace("\n", "\tmore\n"),
    ],
)  # fmt: skip
def test_lines_of_any_line_end_are_the_same_pairs(tmp_path: Path, data: str) -> None:
    found = texts(tmp_path, ("x.tsv", data.encode()))
    assert sorted(all_pairs(found)) == sorted(PAIRS)


def test_two_files_are_parallel(tmp_path: Path) -> None:
    sides = ["".join(f"{pair[side]}\n" for pair in PAIRS).encode() for side in (0, 1)]
    found = texts(tmp_path, ("x.de", sides[0]), ("x.en", sides[1]))
    assert sorted(all_pairs(found)) == sorted(PAIRS)
    assert "90 lines of x.de with those of x.en" in found.notes


def test_line_ends_of_unicode_do_not_shift_parallel_lines(tmp_path: Path) -> None:
    sides = ["".join(f"{p[side]}{end}\n" for p in PAIRS) for side, end in ((0, "\u2028z"), (1, ""))]
    found = texts(tmp_path, ("x.de", sides[0].encode()), ("x.en", sides[1].encode()))
    assert Pair("afi\u2028z", "ifa") in all_pairs(found)


def test_files_of_different_length_are_not_parallel(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="not parallel: they have 20 and 21 lines"):
        texts(tmp_path, ("x.de", b"a\n" * 20), ("x.en", b"b\n" * 21))


def test_several_files_of_pairs_are_one_after_the_other(tmp_path: Path) -> None:
    found = texts(tmp_path, ("1.tsv", TSV.encode()), ("2.tsv", b"x\ty\n"))
    assert len(all_pairs(found)) == len(PAIRS) + 1


@pytest.mark.parametrize(
    ("line", "note"),
    [
        (b"only one side\n", "1 without a tab"),
        (b"a\t\n\tb\n", "2 with an empty side"),
        (b"a\t" + b"b" * (MOST_CHARACTERS + 1) + b"\n", "1 with a side of more than 4,000"),
        (b"x\ty\tz\n", "second tab is left out, in 1 of"),
    ],
)
def test_what_is_left_out_is_counted_and_said(tmp_path: Path, line: bytes, note: str) -> None:
    assert any(note in each for each in texts(tmp_path, ("x.tsv", TSV.encode() + line)).notes)


def test_nul_and_scripts_from_right_to_left_are_kept(tmp_path: Path) -> None:
    data = TSV + "a\0b\tc\0d\nשלום\tمرحبا\n"
    found = all_pairs(texts(tmp_path, ("x.tsv", data.encode())))
    assert Pair("a\0b", "c\0d") in found
    assert Pair("שלום", "مرحبا") in found


def test_a_sentence_of_a_hundred_thousand_words_is_left_out(tmp_path: Path) -> None:
    found = texts(tmp_path, ("x.tsv", TSV.encode() + b"word " * 100_000 + b"\tword\n"))
    assert sorted(all_pairs(found)) == sorted(PAIRS)


@pytest.mark.parametrize(
    "data", [b"", b"a\n" * 50, b"\t\n" * 50, b"a\tb\n" * 3, b"a\tb\n" * 50, b"\xff\tb\n" * 50]
)
def test_unusable_data_is_an_error_of_the_tree(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CharRNNError):
        texts(tmp_path, ("x.tsv", data))


def test_an_error_says_why_all_lines_were_left_out(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"left out: 50 without a tab"):
        texts(tmp_path, ("x.tsv", b"a\n" * 50))


def test_pairs_of_one_source_are_in_the_same_part(tmp_path: Path) -> None:
    data = TSV + "".join(f"{pair.source}\t{n}\n" for pair in PAIRS for n in range(3))
    found = texts(tmp_path, ("x.tsv", data.encode()), test_fraction=0.2)
    parts = [{pair.source for pair in part} for part in found.splits.values()]
    assert len(parts) == 3
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(PAIRS)


def test_the_split_does_not_depend_on_the_order() -> None:
    fractions = {"valid": 0.1, "test": 0.1}
    assert choose(PAIRS, fractions) == choose(PAIRS[::-1], fractions)
    assert list(choose(PAIRS, fractions).values()) == ["valid"] * 9 + ["test"] * 9
    assert content_hash("a") == content_hash("a") != content_hash("b")


def test_files_of_their_own_are_the_other_parts_and_leaks_are_said(tmp_path: Path) -> None:
    (tmp_path / "v.tsv").write_text(f"{PAIRS[0].source}\t{PAIRS[0].target}\nnew\twen\n")
    found = texts(tmp_path, ("x.tsv", TSV.encode()), valid=(str(tmp_path / "v.tsv"),))
    assert len(found.splits["train"]) == len(PAIRS)
    assert len(found.splits["valid"]) == 2
    assert "1 of the valid pairs are in the training part too" in found.notes
