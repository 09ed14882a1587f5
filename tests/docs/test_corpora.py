"""Check the shipped corpora: their size and form, and that their programs still make them."""

import datetime
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

CORPORA = Path(__file__).resolve().parent.parent.parent / "corpora"
TEXTS = (
    "fables.txt", "names.txt", "tunes.abc", "dates.tsv", "requests.tsv", "load.csv", "shop.txt",
)  # fmt: skip
NOTE = re.compile(r"[\^_=]*[A-Ga-gz][,']*(\d*)(/*)(\d*)")
HEADERS = "XTRMLK"


def read(name: str) -> str:
    return (CORPORA / name).read_bytes().decode("utf-8")


def read_tunes() -> list[tuple[dict[str, str], str]]:
    """Split the tune book into the headers and the music of each tune."""
    tunes = []
    for text in read("tunes.abc").rstrip("\n").split("\n\n"):
        lines = text.split("\n")
        assert [line[:2] for line in lines[: len(HEADERS)]] == [f"{field}:" for field in HEADERS]
        headers = {line[0]: line[2:] for line in lines[: len(HEADERS)]}
        tunes.append((headers, "\n".join(lines[len(HEADERS) :])))
    return tunes


def split_bars(music: str) -> list[str]:
    """Return the bars of a tune without chord names and bar lines."""
    bars = re.split(r"\|:|:\||\|", re.sub(r'"[^"]*"', "", music))
    return [bar.strip() for bar in bars if bar.strip()]


def length_of(bar: str) -> Fraction:
    """Add up the notes of a bar, in units of the tune's L: field."""
    # Whatever is left when the notes are taken out was no music this counter can vouch for.
    assert not NOTE.sub("", bar).strip(), f"not a note: {bar!r}"
    total = Fraction(0)
    for times, slashes, parts in NOTE.findall(bar):
        divisor = int(parts) if parts else 2 ** len(slashes)
        total += Fraction(int(times or 1), divisor)
    return total


def read_pieces() -> list[tuple[str, list[str]]]:
    """Split the fables into titles and paragraphs."""
    pieces = read("fables.txt").rstrip("\n").split("\n\n\n")
    split = [piece.split("\n\n") for piece in pieces]
    return [(paragraphs[0], paragraphs[1:]) for paragraphs in split]


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_clean(name: str) -> None:
    text = read(name)
    assert "\r" not in text
    assert text.count("\t") == (text.count("\n") if name.endswith(".tsv") else 0)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert not any(line.endswith(" ") for line in text.split("\n"))


@pytest.mark.parametrize(("name", "least"), [("fables.txt", 66_000), ("tunes.abc", 60_000)])
def test_text_is_long_enough(name: str, least: int) -> None:
    assert (CORPORA / name).stat().st_size >= least


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("make_names.py", "names.txt"),
        ("make_tunes.py", "tunes.abc"),
        ("make_dates.py", "dates.tsv"),
        ("make_load.py", "load.csv"),
        ("make_shop.py", "shop.txt"),
        ("make_requests.py", "requests.tsv"),
    ],
)
def test_program_makes_shipped_file(program: str, text: str) -> None:
    # As a process, not an import: this is the command that the README gives.
    command = [sys.executable, str(CORPORA / program)]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    assert made == (CORPORA / text).read_bytes()


def test_fables_are_titled_pieces_without_repetition() -> None:
    pieces = read_pieces()
    assert 60 <= len(pieces) <= 90
    titles = [title for title, _ in pieces]
    assert len(set(titles)) == len(titles)
    assert all(title and "\n" not in title for title in titles)
    paragraphs = [text for _, body in pieces for text in body]
    assert all(text.strip() == text and text for text in paragraphs)
    # Short ones ("Dear Ruth,") may well return; a long one that does is a slip of the pen.
    long = [text for text in paragraphs if len(text) > 40]
    assert len(set(long)) == len(long)


def test_fables_are_of_three_kinds() -> None:
    bodies = [body for _, body in read_pieces()]
    speaks = re.compile(r"[A-Z]+( [A-Z]+)*: ")
    dialogues = [body for body in bodies if speaks.match(body[0])]
    assert all(speaks.match(turn) for body in dialogues for turn in body)
    greets = re.compile(r"Dear |My dear |Sirs?,|Madam,|Gentlemen,|To ")
    letters = [body for body in bodies if any(greets.match(text) for text in body[:2])]
    assert len(dialogues) >= 12
    assert len(letters) >= 12
    assert len(bodies) - len(dialogues) - len(letters) >= 12


def test_names_are_distinct_and_well_formed() -> None:
    names = read("names.txt").rstrip("\n").split("\n")
    assert len(names) >= 2_400
    assert len(set(names)) == len(names)
    assert names == sorted(names)
    assert [name for name in names if not re.fullmatch(r"[A-Z][a-z]{2,11}", name)] == []


def test_tunes_are_numbered_and_distinct() -> None:
    tunes = read_tunes()
    assert [headers["X"] for headers, _ in tunes] == [str(n + 1) for n in range(len(tunes))]
    assert len({headers["T"] for headers, _ in tunes}) == len(tunes)
    assert len({music for _, music in tunes}) == len(tunes)
    assert {headers["M"] for headers, _ in tunes} >= {"6/8", "4/4", "3/4", "2/4"}
    assert {headers["K"] for headers, _ in tunes} >= {"D", "G", "Ador", "Edor"}


def test_every_bar_has_the_length_of_its_metre() -> None:
    for headers, music in read_tunes():
        metre, unit = Fraction(headers["M"]), Fraction(headers["L"])
        wrong = [bar for bar in split_bars(music) if length_of(bar) * unit != metre]
        assert wrong == [], f"X:{headers['X']} in {headers['M']}"


def test_every_part_is_eight_bars_and_ends_on_the_tonic() -> None:
    for headers, music in read_tunes():
        parts = re.findall(r"\|:(.*?):\|", music, flags=re.DOTALL)
        assert len(parts) == 2, headers
        assert "".join(f"|:{part}:|\n" for part in parts).strip() == music.strip(), headers
        for part in parts:
            bars = split_bars(part)
            assert len(bars) == 8, headers
            assert re.findall("[A-Ga-g]", bars[-1])[-1].upper() == headers["K"][0], headers


def test_dates_are_distinct_and_iso() -> None:
    pairs = [line.split("\t") for line in read("dates.tsv").rstrip("\n").split("\n")]
    assert len(pairs) >= 2_500
    assert len({source for source, _ in pairs}) == len(pairs)
    assert [to for _, to in pairs if datetime.date.fromisoformat(to).isoformat() != to] == []


def test_readme_names_every_file_and_its_size() -> None:
    readme = read("README.md")
    files = [path for path in CORPORA.iterdir() if path.is_file()]
    assert [path.name for path in files if f"`{path.name}`" not in readme] == []
    for name in TEXTS:
        size = f"{(CORPORA / name).stat().st_size:,}"
        assert re.search(rf"^\| `{re.escape(name)}` \| {size} bytes ", readme, re.MULTILINE), name


def test_the_conversations_of_the_shop_are_turns_of_two() -> None:
    conversations = read("shop.txt").rstrip("\n").split("\n\n")
    assert len(conversations) == 700
    assert len(set(conversations)) > 600
    for conversation in conversations:
        names = [line.partition(": ")[0] for line in conversation.split("\n")]
        assert names == ["Guest", "Ida"] * (len(names) // 2)
