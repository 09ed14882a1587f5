"""Labels of documents: read, counted, refused; and taken away again."""

import pytest

from charrnn.data.conditions import MOST_LABELS, LabelTally, labelled, without_labels
from charrnn.errors import CorpusError
from charrnn.tokenizers.documents import END


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("no tab\n", "has no label"),
        ("\ttext\n", "has no label"),
        ("   \ttext\n", "has no label"),
        ("a\x07b\ttext\n", "a control character"),
        ("a\u2028b\ttext\n", "a control character"),
        ("x" * 300 + "\ttext\n", "a label of 300 characters"),
    ],
)
def test_what_can_be_no_label_is_refused_with_its_place(document: str, why: str) -> None:
    with pytest.raises(CorpusError, match=rf"document 2 .*{why}"):
        list(labelled(["en\tcat\n", document], LabelTally()))


def test_documents_without_text_are_counted_and_left_out() -> None:
    tally = LabelTally()
    assert list(labelled(["en\t\n", "en\t a\tb\n", f"en\t{END}"], tally)) == ["en\ta\tb\n"]
    assert (tally.empty, tally.counts["en"]) == (2, 1)


def test_one_label_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = LabelTally()
    list(labelled(["en\tcat\n"], tally))
    with pytest.raises(CorpusError, match="all documents have the label 'en'"):
        tally.check()
    assert MOST_LABELS == 100_000
    monkeypatch.setattr("charrnn.data.conditions.MOST_LABELS", 3)
    with pytest.raises(CorpusError, match="more than 3 different labels"):
        list(labelled((f"{i}\ttext\n" for i in range(10**6)), LabelTally()))


def test_labels_are_taken_away_where_documents_begin() -> None:
    assert without_labels("en\ta\tb\nfr\tc\n", "line") == "a\tb\nc\n"
    assert without_labels(f"en\ta\nb\tc{END}fr\td{END}", "file") == f"a\nb\tc{END}d{END}"
