"""ABC as it is found -> strict ABC, and the same in other keys."""

from collections import Counter
from fractions import Fraction

import pytest

from charrnn.data.tunes import strict
from charrnn.data.tunes.abc import parse, tunes
from charrnn.data.tunes.bars import bars
from charrnn.data.tunes.score import Bar, Meter, Note, Pitch, Tune, UnreadableError
from charrnn.data.tunes.transposition import all_keys, texts_in_all_keys, transposed

HEAD = "X:7\nT:A title\nM:3/4\nL:1/8\nK:G\n"


def read(body: str, head: str = HEAD) -> Tune:
    return parse((head + body).splitlines(), Counter())


def written(body: str, head: str = HEAD) -> str:
    return strict.write(read(body, head)).split("\n")[4]


def pitches(tune: Tune) -> list[int]:
    return [each.pitch.midi for each in tune.elements if isinstance(each, Note) and each.pitch]


@pytest.mark.parametrize(
    ("body", "strict_body"),
    [
        ("G2 A>B | c6 |]", "G2A3/2B/2|c6|]"),
        ("G2 A<<B | c6", "G2A/4B7/4|c6"),
        ("|: G6 :||: A6 :|", "|:G6::A6:|"),
        ("G6 |1 A6 :|2 B6 |]", "G6|[1A6:|[2B6|]"),
        ('"Am7"A2 "slowly"B4|', '"Am7"A2B4|'),
        ("{ab}c2 !trill!d2 ~e2 | (fga) bc'd'", "c2d2e2|fgabc'd'"),
        ("[GBd]2 z2 x2 | (3GAB c4-|c6", "d2z2z2|(3GABc4-|c6"),
        ("F ^F =F F | F", "F=FF|F"),
        ("G2A4|[M:2/4]G4|", "G2A4|[M:2/4]G4|"),
        ("G2A4|\nL:1/16\nG8|", "G2A4|G4|"),
    ],
)
def test_a_body_is_written_in_the_strict_form(body: str, strict_body: str) -> None:
    if body.startswith("F ^F"):
        # F is sharp in G: the sign that says so again is left out, the natural stays for the bar.
        strict_body = "FF=FF|F"
    assert written(body) == strict_body
    assert written(strict_body) == strict_body


def test_what_is_left_out_is_counted() -> None:
    left_out: Counter[str] = Counter()
    head = HEAD + "R:jig %old\n%%scale 1\nV:1\n"
    body = "<b>\n{a}G2 (AB) c2|4 % end\nw: la la\nP:A\n!f![G2B2] ;G2 y2G2|\n"
    parse((head.replace("K:G\n", "") + "K:G\n" + body).splitlines(), left_out)
    assert +left_out == {
        "titles": 1, "other fields": 3, "comments": 3, "HTML": 1, "grace notes": 1, "slurs": 1,
        "lyrics": 1, "endings after the second": 1, "decorations": 1, "lower notes of chords": 1,
        "other signs": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("X:1\nM:4/4\nABc", "it has no K:"),
        ("X:1\nK:G\nABc", "it has no meter"),
        ("X:1\nM:4/4\nK:HP\nABc", "its key is 'HP'"),
        ("X:1\nM:4/4\nK:G\n|||", "it has no notes"),
        ("X:1\nM:4/4\nL:7\nK:G\nA", "its unit L: is '7'"),
        ("X:1\nM:4/4\nK:G\nA/0", "a note has the length '/0'"),
        ("X:1\nM:4/4\nK:G\nA" + "9" * 5000, "a note has the length '99999999999999999999...'"),
        ("X:1\nM:4/4\nK:G\nA500", "a note lasts 125/2 of a whole note"),
        ("X:1\nM:4/4\nK:G\nA/5", "a note lasts 1/40 of a whole note"),
        ("X:1\nM:4/4\nK:G\nA\nL:x\nA", "its unit L: is 'x'"),
        ("X:1\nM:4/4\nK:G\nA,,,,,,", "higher or lower than any note"),
        ("X:1\nM:4/4\nK:G\nA>>>>B", "'>>>>' is no rhythm"),
        ('X:1\nM:4/4\nK:G\nA "text', "a quotation mark is not closed"),
        ("X:1\nM:4/4\nK:G\nA {text", "grace notes are not closed"),
        ("X:1\nM:4/4\nK:G\nA [CE", "a chord is not closed"),
        ("X:1\nM:4/4\nK:G\nA4&B4|", "it has several voices"),
        (
            "X:1\nM:4/4\nK:G\nA4|\nThis is how it was played",
            "a line of it is no music: 'This is how",
        ),
        ("X:1\nM:4/4\nK:G\nZ99|", "Z99 is no rest of a few bars"),
        ("X:1\nM:4/4\nK:D ^c _b\nA", "its key is 'D .c _b'"),
        ("X:1\nM:4/4\nK:G\n-A", "a length or a tie is before the first note"),
        ("X:1\nM:4/4\nK:G\nA4\nV:2\nA4", "it has several voices"),
    ],
)
def test_a_tune_that_is_not_taken_has_a_reason(text: str, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        parse(text.splitlines(), Counter())


def test_what_is_longer_than_any_tune_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.data.tunes.abc.LONGEST", 20)
    with pytest.raises(UnreadableError, match="it has more than 20 notes and bars"):
        read("A" * 21)


def test_a_file_is_cut_at_its_tunes() -> None:
    left_out: Counter[str] = Counter()
    text = "a preface\n\nX:1\n\nK:C\nA\n\nfree text\n\nX:2\r\nK:D\r\nB\n"
    assert list(tunes(text, left_out)) == [["X:1", "", "K:C", "A"], ["X:2", "K:D", "B"]]
    assert left_out == {"lines of free text": 2}


def test_marks_of_html_are_left_out_and_rhythms_are_not() -> None:
    left_out: Counter[str] = Counter()
    text = "<html>\n<PRE>X:1\nM:3/4\nK:G\n&quot;G&quot;A<b>c<br>\n<br/>\nA4</pre>"
    (lines,) = tunes(text.replace("&quot;G&quot;A", '"G"A'), left_out)
    assert lines == ["X:1", "M:3/4", "K:G", '"G"A<b>c', "A4"]
    assert left_out == {"HTML": 5}
    (lines,) = tunes("X:1\nK:G\n&quot;G&quot;A<br>")
    assert lines[-1] == '"G"A'


def test_a_meter_and_a_key_before_the_first_note_are_the_tunes_own() -> None:
    tune = read("f", "X: 1\nM:4/4\nK:A\nM:6/8\nK:D\n")
    assert (tune.meter, tune.key.name, tune.elements[0]) == (
        Meter(6, 8),
        "D",
        Note(Pitch(10, 1), Fraction(1, 8)),
    )


def test_bars_of_rest_are_as_long_as_the_meter() -> None:
    assert written("c6|Z2|c6|]") == "c6|z6|z6|c6|]"


def test_a_tune_of_rests_alone_has_one_key() -> None:
    tune = read("z6|z6|]")
    assert list(all_keys(tune, 40, 90)) == [tune]


def test_a_change_of_meter_within_a_bar_is_of_those_after_it() -> None:
    found = list(bars(read("G6|G2[M:2/4]A4|B4|c4|]")))
    assert [(each.wanted, each.wrong) for each in found[1:]] == [
        (Fraction(3, 4), False), (Fraction(1, 2), False), (Fraction(1, 2), False)
    ]  # fmt: skip


def test_in_every_key_all_intervals_are_the_same() -> None:
    tune = read('"G"G2 ^A2 =F2 | "D7/F#"B,6 | _e2 d4 |]')
    keys = list(all_keys(tune, 40, 90))
    assert len(keys) == 12
    for each in keys:
        again = parse(strict.write(each).splitlines(), Counter())
        assert len({b - a for a, b in zip(pitches(tune), pitches(again), strict=True)}) == 1
        assert again.key == each.key


def test_only_keys_in_the_range_are_taken() -> None:
    tune = read("G2 A2 B2|")
    assert [pitches(each)[0] for each in all_keys(tune, 67, 72)] == [67, 68]
    assert transposed(tune, 6, 11) is not None
    assert transposed(tune, 0, 6) is None


def test_a_bar_is_wrong_that_is_too_long_or_short_within_a_part() -> None:
    found = [each.wrong for each in bars(read("G2|A6|B4|c6|d7|e4:|f2|(3gab g4|]"))]
    assert found == [False, False, True, False, True, False, False, False]


def test_a_second_ending_is_a_line() -> None:
    assert [each.mark for each in read("A6|1B6:|2c6|]").elements if isinstance(each, Bar)] == [
        "|", "[1", ":|", "[2", "|]"
    ]  # fmt: skip


def test_the_texts_in_all_keys_are_those_of_the_tunes_in_all_keys() -> None:
    tune = read(
        '|:"G"G2 ^A2 =F2 | "D7/F#"B,6- |1 _e2 d4:|2 ^c6|][M:2/4]z4|[K:Eb]e2 =A2|(3_a_gf ^f2|]'
    )
    texts = list(texts_in_all_keys(tune, 40, 90))
    assert texts == [strict.write(each) for each in all_keys(tune, 40, 90)]
    assert len(set(texts)) == len(texts) > 7
