"""A score as lines and as a table."""

import pytest

from charrnn.errors import UsageError
from charrnn.tasks.labels.metrics import LabelsScore
from charrnn.tasks.labels.tables import MOST_DRAWN, WIDEST, confusion_lines, confusion_table


def score(confusion: dict[tuple[str, str], int]) -> LabelsScore:
    """A score with this confusion matrix."""
    return LabelsScore(0.5, 1.0, 0.5, 0.5, 0.1, 10, confusion=confusion)


def test_the_table_has_a_row_for_each_true_label_and_a_column_for_each_predicted_one() -> None:
    names, counts = confusion_table(score({("a", "a"): 3, ("a", "b"): 1, ("(unknown)", "b"): 2}))
    assert names == ["(unknown)", "a", "b"]
    assert counts.tolist() == [[0, 0, 2], [0, 3, 1], [0, 0, 0]]


def test_long_names_are_cut_in_the_table_as_in_the_lines() -> None:
    long = score({("x" * 99, "y"): 1})
    names, _ = confusion_table(long)
    assert max(map(len, names)) == WIDEST
    assert names[0] in "\n".join(confusion_lines(long))


def test_there_is_no_table_of_several_labels_a_text_or_of_very_many_labels() -> None:
    with pytest.raises(UsageError, match="several labels"):
        confusion_table(score({}))
    many = {(str(n), str(n)): 1 for n in range(MOST_DRAWN)}
    assert len(confusion_table(score(many))[0]) == MOST_DRAWN
    with pytest.raises(UsageError, match="1,001 labels"):
        confusion_table(score(many | {("x", "x"): 1}))
