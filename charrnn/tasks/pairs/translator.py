"""Translator: a trained model of pairs, ready to translate and to be evaluated. No torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.data.example_files import SPLITS, read_as_trained
from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.base import Predictor
from charrnn.tasks.pairs import evaluate as evaluation
from charrnn.tasks.pairs.config import PairsDataConfig
from charrnn.tasks.pairs.dataset import Pairs, reopen
from charrnn.tasks.pairs.encoder import PairEncoder
from charrnn.tasks.pairs.engine import PairEngine
from charrnn.tasks.pairs.metrics import PairsScore, has_sacrebleu
from charrnn.tasks.pairs.reading import Pair, read_pairs
from charrnn.tasks.pairs.search import Hypothesis

BEAM = 5
"""Hypotheses of a search, unless another number is given."""

MOST_BEAM = 100


@dataclass(frozen=True)
class Translation:
    """A target of a source. score: mean log-probability of its tokens, in nats.

    attention: (T, S), of each of `target_tokens` over `source_tokens`. cut: whether the source was
    longer than what is read of one.
    """

    source: str
    target: str
    score: float
    logprob: float
    source_tokens: tuple[str, ...]
    target_tokens: tuple[str, ...]
    attention: NDArray[np.float32]
    cut: bool = False


class Translator(Predictor):
    """An encoder of pairs and an engine in one object, with the run's pairs if there are any."""

    encoder: PairEncoder
    engine: PairEngine
    engine_class = PairEngine
    reads_files = True

    @cached_property
    def pairs(self) -> Pairs | None:
        """The run's pairs; None if the checkpoint is not in its run folder."""
        return reopen(self.path.parent / "corpus", self.encoder)

    def translate(self, text: str, beam: int = BEAM) -> str:
        """A source -> its most likely target that a beam search finds; 1 is greedy."""
        return self.translate_all([text], beam)[0]

    def translate_all(self, texts: Iterable[str], beam: int = BEAM) -> list[str]:
        """Sources -> a target of each, in order. A source without characters has an empty one."""
        return [found[0].target for found in self.hypotheses(list(texts), beam)]

    def hypotheses(
        self, texts: Sequence[str], beam: int = BEAM, n_best: int = 1
    ) -> list[list[Translation]]:
        """Sources -> the best targets of each with their scores and attention, the best first.

        UsageError if more are asked for than the beam holds.
        """
        if type(beam) is not int or not 1 <= beam <= MOST_BEAM:
            raise UsageError(f"beam is {beam!r}", f"give a whole number from 1 to {MOST_BEAM}")
        if type(n_best) is not int or not 1 <= n_best <= beam:
            raise UsageError(
                f"n_best is {n_best!r}, and a beam of {beam} finds so many targets",
                "make the beam wider",
            )
        sources = [text.strip() for text in texts]
        filled = [number for number, text in enumerate(sources) if text]
        results = [[_empty(text)] for text in texts]
        found = evaluation.translate(
            self.engine, self.encoder, [sources[number] for number in filled], beam
        )
        for number, (ids, copied, each) in zip(filled, found, strict=True):
            results[number] = [
                self._translation(sources[number], ids, copied, one) for one in each[:n_best]
            ]
        return results

    def _translation(
        self, source: str, ids: NDArray[np.int64], copied: Sequence[str], found: Hypothesis
    ) -> Translation:
        encoder = self.encoder
        return Translation(
            source,
            evaluation.text_of(encoder, ids, copied, found),
            found.score,
            found.logprob,
            tuple(encoder.source.token_texts(ids.tolist())),
            tuple(encoder.target.token_texts(found.ids)),
            found.attention,
            encoder.encode_source(source)[2],
        )

    def evaluate(self, split: str = "valid", *, file: str | Path | None = None) -> PairsScore:
        """The score over a split of the run's pairs, or over those of `file`.

        The figures are those of greedy decoding, by which checkpoints are compared; those of beam
        search, and of the baselines, are in `others`. CorpusError if the split is not there.
        """
        if split not in SPLITS:
            raise UsageError(f"there is no split {split!r}", "choose train, valid or test")
        pairs = self._pairs_of_file(Path(file)) if file is not None else self._split(split)
        engine, encoder = self.engine, self.encoder
        score = evaluation.evaluate(engine, encoder, pairs, quality=True)
        others = {f"beam {BEAM}": evaluation.evaluate(engine, encoder, pairs, BEAM, quality=True)}
        if self.pairs is not None:
            others |= evaluation.baselines(self.pairs, pairs, quality=True)
        return replace(score, others=others)

    def _split(self, split: str) -> list[Pair]:
        if self.pairs is None or not self.pairs.size(split):
            raise CorpusError(
                f"there is no {split} part next to {self.path}", "give pairs with --file"
            )
        return self.pairs.splits[split].pairs

    def _pairs_of_file(self, path: Path) -> list[Pair]:
        """The pairs of a file, read as those of the training were."""
        columns = ("source_column", "target_column")
        return read_pairs(read_as_trained(PairsDataConfig, path, self.path.parent, columns))

    def baseline_lines(self, score: Any) -> list[str]:
        """What `evaluate` prints after a score: of beam search and of the baselines."""
        lines = [f"{name}: {other.summary()}" for name, other in score.others.items()]
        lines += [f"{name} {signature}" for name, signature in score.signatures.items()]
        if not has_sacrebleu():
            lines.append("for BLEU and chrF: pip install 'charrnn[pairs]'")
        return [*lines, *(f"warning: {text}" for text in score.issues.values())]

    def export_onnx(self, path: Path) -> None:
        """Write the encoder as an ONNX file, and the decoder's step next to it."""
        from charrnn.tasks.pairs.exporting import export

        export(self.checkpoint.without_training_state(), path)


def _empty(text: str) -> Translation:
    return Translation(text, "", 0.0, 0.0, (), (), np.zeros((0, 0), np.float32))
