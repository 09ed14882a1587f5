"""What can be named at each character of a text."""

import numpy as np
import pytest

from charrnn.errors import UsageError
from charrnn.evaluation import text_features as features


def marks(name: str, text: str) -> str:
    classes, names = features.FEATURES[name](text)
    assert len(classes) == len(text)
    assert int(classes.max(initial=0)) < len(names)
    return "".join(map(str, classes.tolist()))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("inside quotes", 'a "bc" d', "00111000"),
        ("inside quotes", "«é» “b”", "1100110"),
        ("inside quotes", '"a\n\nb', "11100"),
        ("inside single quotes", "don't 'go on' now", "00000011111100000"),
        ("inside brackets", "a(b[c]d)e)f", "01122110000"),
        ("inside brackets", "((((", "1233"),
        ("inside brackets", "(a\n\nb", "11100"),
        ("place in the word", "a bcdefghij", "10123455666"),
        ("place in the sentence", "A b c. D", "11112001"),
        ("letter case", "aB1é", "1201"),
        ("digit", "a1²", "011"),
        ("after a newline", "ab\nc\n\nd", "1001011"),
        ("first line of a paragraph", "ab\nc\n\nde\nf", "1100001100"),
        ("indentation", "a\n  b\n\tc\n      d", "0011101102222222"),
    ],
)
def test_each_feature_holds_where_it_should(name: str, text: str, expected: str) -> None:
    assert marks(name, text) == expected


def test_the_line_is_cut_into_parts_that_are_about_equally_frequent() -> None:
    classes, names = features.column(("x" * 79 + "\n") * 50)
    assert np.bincount(classes).tolist() == [500] * 8
    assert names[0] == "columns 0 to 9"
    assert names[-1] == "from column 70"


CHAT = "Ann: hello there\nBob: good day\nmany more words\n" * 6


def test_speakers_are_found_only_in_a_text_that_has_some() -> None:
    assert marks("speaker's name", CHAT).startswith("1110000000000000011100")
    assert marks("who speaks", CHAT).startswith("000111")
    assert not int(marks("speaker's name", "He said: no.\nNothing more: nothing.\n" * 1))
    assert len(set(marks("who speaks", CHAT))) == 3


def test_the_key_of_a_tune_holds_from_its_field_to_the_next_tune() -> None:
    tune = "X:1\nK:G\nab|\n\nX:2\nK:Dm\ncd|\n"
    assert marks("key of the tune", tune) == "00000001111110000000022222"
    assert marks("head of the tune", tune).startswith("1110111000")
    assert not int(marks("place in the bar", "no tune | at all"))


def test_a_feature_of_ones_own_holds_where_it_matches_or_where_its_groups_do() -> None:
    found = features.text_features("say NO\nNO", {"shout": "^[A-Z]+", "after": "say (.)"})
    assert "".join(map(str, found[-2].classes.tolist())) == "000000011"
    assert "".join(map(str, found[-1].classes.tolist())) == "000010000"


@pytest.mark.parametrize("text", ["a", "=b", "a=", "a=(", "digit=1", " =x"])
def test_what_is_no_name_and_expression_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        features.own_features([text])


def test_two_features_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two features"):
        features.own_features(["a=x", "a=y"])


@pytest.mark.parametrize("text", ["", "\n", "a", "\n\n\n", "(((", '"', "'"])
@pytest.mark.parametrize("name", features.FEATURES)
def test_every_feature_takes_every_text(name: str, text: str) -> None:
    marks(name, text)
