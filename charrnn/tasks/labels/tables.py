"""A score as lines of text: the figures of each label, the confusion matrix, the baselines."""

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError
from charrnn.tasks.labels.metrics import MOST_SHOWN, LabelsScore

WIDEST = 24
"""Characters of a label in a table."""

MOST_DRAWN = 1_000
"""Labels of a picture of the confusion matrix: a line of dots each."""


def lines_of(score: LabelsScore, multiple: bool) -> list[str]:
    """A score -> what `evaluate` prints after its summary."""
    lines = [
        f"{name}: {other.value:.4f} accuracy, {other.macro_f1:.4f} macro F1"
        for name, other in score.others.items()
    ]
    if multiple:
        lines.insert(0, f"micro F1 {score.micro_f1:.4f}")
    lines += ["", *label_lines(score)]
    if score.confusion:
        lines += ["", *confusion_lines(score)]
    return lines


def label_lines(score: LabelsScore) -> list[str]:
    """Precision, recall and F1 of each label, the most frequent first."""
    ranked = sorted(score.per_label.items(), key=lambda item: (-item[1]["support"], item[0]))
    wide = max([len(_cut(name)) for name, _ in ranked], default=5)
    lines = [f"{'label':{max(wide, 5)}}  precision  recall      F1   texts"]
    lines += [
        f"{_cut(name):{max(wide, 5)}}  {each['precision']:9.4f}  {each['recall']:6.4f}  "
        f"{each['f1']:6.4f}  {int(each['support']):6,}"
        for name, each in ranked
    ]
    return lines


def confusion_lines(score: LabelsScore) -> list[str]:
    """The confusion matrix: a row for each true label, a column for each predicted one."""
    names = sorted({name for pair in score.confusion for name in pair})
    if len(names) > MOST_SHOWN:
        ranked = sorted(score.confusion.items(), key=lambda item: (-item[1], item[0]))
        wrong = [(pair, count) for pair, count in ranked if pair[0] != pair[1]][:MOST_SHOWN]
        return [
            f"most frequent confusions of {len(names):,} labels (all are in --json):",
            *(f"{count:6,}  {_cut(true)} -> {_cut(guess)}" for (true, guess), count in wrong),
        ]
    wide = max(len(_cut(name)) for name in names)
    cell = max(4, *(len(f"{count:,}") for count in score.confusion.values())) + 1
    lines = [f"{'true, down; predicted, by number':{wide}}"]
    lines.append(" " * (wide + 4) + "".join(f"{n + 1:{cell}}" for n in range(len(names))))
    for number, true in enumerate(names, 1):
        row = (score.confusion.get((true, guess), 0) for guess in names)
        cells = "".join(f"{count or '.':>{cell}}" for count in row)
        lines.append(f"{number:3} {_cut(true):{wide}}{cells}")
    return lines


def confusion_table(score: LabelsScore) -> tuple[list[str], NDArray[np.int64]]:
    """A score -> names of L labels, and how often each was predicted for each, (true, predicted).

    The names are cut as in a table. UsageError with several labels a text, which have no confusion
    matrix, and where there are too many of them for a picture.
    """
    if not score.confusion:
        raise UsageError(
            "there is no confusion matrix where a text can have several labels",
            "leave --confusion out: the figures of each label are printed",
        )
    names = sorted({name for pair in score.confusion for name in pair})
    if len(names) > MOST_DRAWN:
        raise UsageError(
            f"a picture of {len(names):,} labels would show nothing",
            f"use --json: a picture has at most {MOST_DRAWN:,}",
        )
    index = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    for (true, guess), count in score.confusion.items():
        counts[index[true], index[guess]] = count
    return [_cut(name) for name in names], counts


def _cut(name: str) -> str:
    return name if len(name) <= WIDEST else name[: WIDEST - 1] + "…"
