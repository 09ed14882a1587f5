"""Hypotheses and references -> error rates, exact matches, BLEU and chrF; and the usual failures.

BLEU and chrF are sacrebleu's (Post 2018), with its signatures: the extra charrnn[pairs]. Symbols
are characters, words what is between spaces. An error rate is the edit distance (Levenshtein
1966) of all hypotheses from their references, over the length of all references.
"""

import importlib.util
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SAME, REPEATED, UNKNOWN = 0.5, 0.2, 0.5
"""Parts of the outputs from which on a failure is named."""

TIMES = 4
"""A word, or a few, in a row so many times is a repetition."""

LETTER_TIMES = 8
"""The same for characters, which are also repeated where nothing is wrong."""

LEAST_OUTPUTS = 10
"""Fewer outputs say nothing of all."""

LONGEST_DISTANCE = 20_000
"""Symbols of a side beyond which the distance is taken for that of nothing alike."""


@dataclass(frozen=True)
class PairsScore:
    """How near the outputs are to the targets.

    value: the symbol error rate. bleu, chrf: None without sacrebleu. others: the scores of beam
    search and of the baselines, by name. issues: kind -> failure, in words.
    """

    value: float
    word_error_rate: float
    exact_match: float
    pairs: int
    bleu: float | None = None
    chrf: float | None = None
    signatures: dict[str, str] = field(default_factory=dict)
    others: dict[str, "PairsScore"] = field(default_factory=dict)
    issues: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        found: dict[str, Any] = {
            "symbol_error_rate": self.value,
            "word_error_rate": self.word_error_rate,
            "exact_match": self.exact_match,
            "pairs": self.pairs,
        }
        if self.bleu is not None:
            found |= {"bleu": self.bleu, "chrf": self.chrf, "signatures": self.signatures}
        if self.others:
            found["others"] = {name: score.to_json() for name, score in self.others.items()}
        return found | ({"issues": self.issues} if self.issues else {})

    def summary(self) -> str:
        """The figures of a progress line."""
        quality = "" if self.bleu is None else f", BLEU {self.bleu:.1f}, chrF {self.chrf:.1f}"
        return (
            f"{self.value:.4f} symbol errors, {self.word_error_rate:.4f} word errors, "
            f"exact {self.exact_match:.1%}{quality}"
        )


def score(
    hypotheses: Sequence[str], references: Sequence[str], quality: bool = False
) -> PairsScore:
    """Outputs and what they should be -> their score. quality: with BLEU and chrF, if installed."""
    symbols = _rate([list(text) for text in hypotheses], [list(text) for text in references])
    words = _rate([text.split() for text in hypotheses], [text.split() for text in references])
    exact = sum(map(str.__eq__, hypotheses, references)) / max(1, len(references))
    found = _quality(hypotheses, references) if quality else {}
    return PairsScore(symbols, words, exact, len(references), **found)


def has_sacrebleu() -> bool:
    """Whether BLEU and chrF can be computed."""
    return importlib.util.find_spec("sacrebleu") is not None


def _quality(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    if not has_sacrebleu():
        return {}
    import sacrebleu

    # As published figures are: cased, tokenized by 13a, the corpus as a whole.
    metrics = {"bleu": sacrebleu.BLEU(), "chrf": sacrebleu.CHRF()}
    found = {n: m.corpus_score(list(hypotheses), [list(references)]) for n, m in metrics.items()}
    signatures = {name: str(metric.get_signature()) for name, metric in metrics.items()}
    return {n: float(each.score) for n, each in found.items()} | {"signatures": signatures}


def _rate(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    total = sum(map(len, references))
    return sum(map(distance, hypotheses, references)) / max(1, total)


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Edits that make one sequence the other: insertions, deletions, substitutions.

    >>> distance("kitten", "sitting")
    3
    """
    if list(one) == list(other):
        return 0
    if not one or not other or max(len(one), len(other)) > LONGEST_DISTANCE:
        return max(len(one), len(other))
    index = {token: place for place, token in enumerate(dict.fromkeys((*one, *other)))}
    first, second = (np.array([index[token] for token in side]) for side in (one, other))
    steps = np.arange(len(second) + 1)
    row = steps.copy()
    for place, token in enumerate(first.tolist(), 1):
        # Deletions and substitutions; insertions run along the row, as a minimum of what is before.
        free = np.minimum(row[1:] + 1, row[:-1] + (second != token))
        row = np.minimum.accumulate(np.concatenate([[place], free]) - steps) + steps
    return int(row[-1])


def failures(
    hypotheses: Sequence[str], references: Sequence[str], unknown: Sequence[bool]
) -> dict[str, str]:
    """Outputs -> the usual failures of such models, by kind: what is wrong and what to try.

    unknown: whether each output is mostly of tokens that have no id.
    """
    count = len(hypotheses)
    if count < LEAST_OUTPUTS:
        return {}
    found = {}
    same = Counter(hypotheses).most_common(1)[0][1] / count
    if same >= SAME and same > 2 * Counter(references).most_common(1)[0][1] / count:
        found["same output"] = (
            f"{same:.0%} of the outputs are the same: the source has no effect yet; "
            "train longer, or try a lower --learning-rate"
        )
    repeated = sum(map(repeats, hypotheses)) / count
    if repeated >= REPEATED and repeated > 2 * sum(map(repeats, references)) / count:
        found["repeated words"] = (
            f"{repeated:.0%} of the outputs repeat the same words or letters; "
            "train longer, or with more pairs or --dropout"
        )
    lost = sum(unknown) / count
    if lost >= UNKNOWN:
        found["unknown words"] = (
            f"{lost:.0%} of the outputs are mostly of unknown words; "
            "try --tokenizer subword, or a larger --vocab-size"
        )
    return found


def repeats(text: str) -> bool:
    """Whether up to four words are repeated TIMES times, or up to four letters LETTER_TIMES.

    The letters are for short strings, and for writing without spaces.

    >>> repeats("a man a man a man a man"), repeats("a man and a man"), repeats("1999999999")
    (True, False, True)
    """
    return _in_a_row(text.split(), TIMES) or _in_a_row(text, LETTER_TIMES)


def _in_a_row(parts: Sequence[str], times: int) -> bool:
    """Whether up to four parts are repeated so many times in a row."""
    for size in range(1, 5):
        # How many in a row are the same as `size` before.
        run = 0
        for part, before in zip(parts[size:], parts, strict=False):
            run = run + 1 if part == before else 0
            if run >= size * (times - 1):
                return True
    return False
