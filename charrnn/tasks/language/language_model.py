"""LanguageModel: a trained model of text, ready to sample, score and evaluate."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from charrnn.activity import track
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.data.reading import Reading, Tally
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluation.scores import (
    Pricing,
    Score,
    encoded,
    log_probabilities,
    read_text,
    score_tokens,
)
from charrnn.inference.beam_search import Hypothesis, beam_search, text_of
from charrnn.inference.constraints import CORPUS, Constraints
from charrnn.inference.engine import Engine, default_threads
from charrnn.inference.generation import (
    Chunk,
    GenerationState,
    SamplingParams,
    begin,
    generate,
)
from charrnn.inference.known_words import KnownWordsConstraint
from charrnn.inference.mixed_engine import MixedEngine
from charrnn.inference.sampling import Filter
from charrnn.inference.word_automaton import WordAutomaton
from charrnn.tasks.base import Predictor
from charrnn.tasks.language.corpus import SPLITS, Corpus, reopen
from charrnn.tasks.language.keywords import constraints_from, sampling_params, texts_of
from charrnn.tasks.language.texts import reading_of
from charrnn.tasks.language.tunes import bars_constraint, default_length
from charrnn.tokenizers.base import Ids

if TYPE_CHECKING:
    from charrnn.evaluation.neurons import Neurons
    from charrnn.tasks.language.chat import Chat
    from charrnn.tasks.language.label_scores import LabelScore
    from charrnn.tasks.language.steered import Steered

NO_CONSTRAINTS = Constraints()


class LanguageModel(Predictor):
    """A tokenizer and an engine in one object, with the run's corpus if there is one."""

    engine: Engine
    engine_class = Engine

    def __init__(
        self,
        checkpoint: Checkpoint,
        path: Path,
        threads: int | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__(checkpoint, path, threads, precision)
        if checkpoint.mixture is not None:
            self.engine = MixedEngine(self.engine, checkpoint.mixture)
        self.tokenizer = checkpoint.tokenizer
        self.threads, self.precision = threads or default_threads(), precision
        self.given_threads = threads
        self._words: dict[str, list[str]] = {}
        self.kept_filters: dict[tuple[Any, ...], Filter] = {}

    @cached_property
    def corpus(self) -> Corpus | None:
        """The run's token arrays; None if the checkpoint is not in its run folder."""
        # Opened when first needed: sampling does without it, and checking it reads all its tokens.
        return reopen(self.path.parent / "corpus", self.tokenizer)

    def sample(self, prompt: str = "", **options: Any) -> str:
        """Prompt -> its continuation. The options are those of `stream`."""
        return "".join(self.stream(prompt, **options))

    def stream(
        self,
        prompt: str = "",
        *,
        length: int | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        greedy: bool = False,
        beam: int = 0,
        ban: str | Sequence[str] = (),
        allow: str | None = None,
        bias: Mapping[str, float] | None = None,
        regex: str | None = None,
        no_copy: int | None = None,
        novel: bool = False,
        known_words: bool | str | Path = False,
        bars: bool | None = None,
        key: str = "",
        meter: str = "",
        **values: float,
    ) -> Iterator[str]:
        """Prompt -> its continuation, in pieces as they are drawn.

        length: tokens at most; None is 500, and 5,000 for a tune. seed: None draws one. stop: texts
        to end before. greedy: always take the most likely token. beam: width of a beam search, 0 to
        sample. ban, allow, bias, regex, no_copy, novel, known_words, bars, key, meter: constraints
        as in `charrnn sample`; known_words is True or a file; bars of None is True for models of
        tunes. values: parameters of the filters, such as temperature=0.7, top_p=0.9. UsageError for
        an unknown one.
        """
        length = default_length(self) if length is None else length
        if type(length) is not int or length < 0:
            raise UsageError(f"length is {length!r}", "give a whole number from 0")
        own = {"lines": self.checkpoint.info.lines, "stop": texts_of(stop)}
        params = sampling_params(length, seed, values, greedy, **own)
        constraints = constraints_from(
            ban, allow, bias, regex, no_copy, novel, known_words, bars, key, meter
        )
        start = begin(self.tokenizer, prompt)
        if beam:
            yield self.text_of(self.beam_search(start, beam, params, constraints), start)
            return
        for chunk in self.generate([start], params, constraints=constraints):
            yield chunk.text

    def generate(
        self,
        starts: Sequence[GenerationState],
        params: SamplingParams,
        indices: Sequence[int] = (0,),
        constraints: Constraints = NO_CONSTRAINTS,
        streams: Sequence[Sequence[int]] = (),
        interrupted: Callable[[], bool] = lambda: False,
    ) -> Iterator[Chunk]:
        """Continue several starts as one batch, as `inference.generation.generate` does."""
        filters, ends = self.filters(constraints)
        whole = constraints.writes_characters
        params = replace(params, whole=params.whole or whole)
        return generate(self, starts, params, indices, filters, ends, streams, interrupted)

    def chat(
        self,
        name: str = "",
        me: str = "",
        *,
        max_length: int = 500,
        seed: int | None = None,
        relevance: float = 0.0,
        greedy: bool = False,
        ban: str | Sequence[str] = (),
        allow: str | None = None,
        bias: Mapping[str, float] | None = None,
        regex: str | None = None,
        no_copy: int | None = None,
        novel: bool = False,
        **values: float,
    ) -> "Chat":
        """A conversation with a model of a chat: `chat().reply("hello")`.

        name: who answers; me: who says what is given to it. max_length: tokens of a reply at most.
        relevance: as in `Chat`. The others are those of `stream`. UsageError if the model is of no
        chat, or an option is not valid.
        """
        from charrnn.tasks.language.chat import Chat
        from charrnn.tasks.language.turns import MOST_RELEVANCE

        if type(max_length) is not int or max_length < 1:
            raise UsageError(f"max_length is {max_length!r}", "give a whole number from 1")
        if not 0 <= relevance <= MOST_RELEVANCE:
            raise UsageError(
                f"relevance is {relevance!r}", f"give a number from 0 to {MOST_RELEVANCE}"
            )
        params = sampling_params(max_length, seed, values, greedy)
        constraints = constraints_from(ban, allow, bias, regex, no_copy, novel)
        return Chat(self, name, me, params, constraints, relevance)

    def tune(self, prompt: str = "", **options: Any) -> str:
        """A whole tune, drawn again until it ends and has no flaw; the options are of `sample`."""
        from charrnn.tasks.language.tunes import one_tune

        return one_tune(self, prompt, options)

    def beam_search(
        self,
        start: GenerationState,
        width: int,
        params: SamplingParams,
        constraints: Constraints = NO_CONSTRAINTS,
    ) -> Hypothesis:
        """The most likely continuation that `width` hypotheses find."""
        filters, ends = self.filters(constraints)
        return beam_search(self, start, width, params, tuple(filters), ends)

    def text_of(self, hypothesis: Hypothesis, start: GenerationState | None = None) -> str:
        """A hypothesis -> its text, without the token or stop text that ends it."""
        return text_of(self.tokenizer, start or begin(self.tokenizer, ""), hypothesis)

    def filters(
        self, constraints: Constraints, end: int | None = None
    ) -> tuple[list[Filter], Callable[[int, int], bool] | None]:
        """Constraints -> the filters of one generation, and what ends a text; see `Constraints`."""
        from charrnn.tasks.language.originality import known_lines, open_index

        folder = self.path.parent / "corpus"
        # The index is passed as a function: building it is slow, and only no_copy needs it.
        return constraints.filters(
            self.tokenizer,
            lambda: open_index(self.corpus_or_error("leave --no-copy out"), folder),
            lambda: known_lines(self.corpus_or_error("leave --novel out")),
            self.checkpoint.info.lines,
            end,
            self.known_words,
            bars_constraint(self, constraints),
        )

    def known_words(
        self, source: str, ban: tuple[str, ...] = (), allow: str | None = None
    ) -> KnownWordsConstraint:
        """The constraint to known words; what it has found is kept for the next generation."""
        key = ("known_words", source, ban, allow)
        if key not in self.kept_filters:
            automaton = WordAutomaton(self.words(source), ban, allow)
            self.kept_filters[key] = KnownWordsConstraint(automaton, self.tokenizer)
        return cast(KnownWordsConstraint, self.kept_filters[key]).renewed()

    def with_label(self, *labels: str, **weights: float) -> "LanguageModel":
        """A model of labelled documents -> the same, which writes and scores in a label.

        Several labels, or weights by label, mix. UsageError for a label that it does not know.
        """
        from charrnn.tasks.language.conditions import Conditioned

        return Conditioned(self, dict.fromkeys(labels, 1.0) | weights)

    def neurons(self, **options: Any) -> "Neurons":
        """What each unit follows in a text; the options are those of `looking_inside.neurons`."""
        from charrnn.tasks.language.looking_inside import neurons

        return neurons(self, **options)

    def steered(self, *steers: str) -> "Steered":
        """A model -> the same with units held ("1:37=2") or pushed ("1:37=+2") at every token."""
        from charrnn.tasks.language.steered import Steered

        return Steered(self, steers)

    def words(self, source: str = CORPUS) -> list[str]:
        """CORPUS, or a file -> the words of the training text, or of the file.

        CorpusError if the training text is not next to the checkpoint; the ids of a word tokenizer
        are words too.
        """
        if source not in self._words:
            from charrnn.tasks.language.words import corpus_words, file_words, vocabulary_words

            if source != CORPUS:
                found = file_words(source)
            elif self.corpus is None and self.tokenizer.name == "word":
                found = vocabulary_words(self.tokenizer)
            else:
                corpus = self.corpus_or_error("give a text or a list of words: --known-words FILE")
                found = corpus_words(corpus, self.path.parent / "corpus")
            self._words[source] = found
        return self._words[source]

    def corpus_or_error(self, remedy: str) -> Corpus:
        """The run's corpus. CorpusError if it is not next to the checkpoint."""
        if self.corpus is None:
            raise CorpusError(f"the training text of {self.path} is not next to it", remedy)
        return self.corpus

    def reading(self, encoding: str | None = None, errors: str = "strict") -> Reading:
        """How the training text was read: encoding (unless another is given), lines, documents."""
        return reading_of(self.checkpoint, self.path, encoding, errors)

    def log_probabilities(self, text: str) -> tuple[Ids, NDArray[np.float64]]:
        """Text -> its tokens (N,), and the natural log-probability of each (N,)."""
        tokens, words = self.tokenizer.spell_unknown(text)
        start_id, floor = self.tokenizer.start_id, self.tokenizer.floor
        read = log_probabilities(self.engine, tokens, start_id, floor)
        blocks = list(track(read, "scoring", len(tokens), size=len))
        found = np.concatenate(blocks) if blocks else np.zeros(0)
        # A word without an id costs that it is one, and its characters.
        if words:
            found[tokens == self.tokenizer.unknown_id] -= self.tokenizer.unknown_nats(words)
        return tokens, found

    def score(self, text: str, adapt: bool | float = False) -> Score:
        """Text -> how well the model predicts it: bits per character, perplexity.

        adapt: True, or a rate: how well it does where it learns from the text as it reads. The
        model is not changed; the score is an AdaptedScore.
        """
        if adapt is not False:
            return self.evaluate_read(encoded(text, self.tokenizer), "cpu", adapt)
        tokens, logprobs = self.log_probabilities(text)
        if not len(tokens):
            raise CorpusError("the text is empty", "give a text")
        price = self.tokenizer.unknown_nats(self.tokenizer.spell_unknown(text)[1])
        unknown = len(price) if any(price) else 0
        return Score(-float(logprobs.sum()), len(tokens), len(text), unknown, sum(price))

    def evaluate(
        self,
        split: str = "valid",
        *,
        file: str | Path | None = None,
        encoding: str | None = None,
        errors: str = "strict",
        device: str = "auto",
        on_note: Callable[[str], None] | None = None,
        adapt: bool | float = False,
    ) -> Score:
        """The score over a split of the run's corpus, or over a file.

        In float32 it is computed by torch on `device` (auto, cpu, cuda or mps), many rows in
        parallel; in int8, or mixed with n-gram models, by the engine that samples. A file is read
        as the training text was, in the same encoding unless another is given. on_note: called with
        remarks on how it was read. adapt: as in `score`. CorpusError if the split is not there.
        """
        return self.evaluate_read(self.read(split, file, encoding, errors, on_note), device, adapt)

    def label_scores(self, split: str = "valid", **how: Any) -> "list[LabelScore]":
        """The score of each label over a split or a file: texts, nats per character, accuracy.

        how: file, encoding and errors as in `evaluate`. Empty if the model has no labels.
        """
        return self.label_scores_of(self.read(split, **how))

    def evaluate_read(
        self, read: tuple[Ids, int, Pricing], device: str = "auto", adapt: bool | float = False
    ) -> Score:
        """The score of what `read` returned."""
        if adapt is not False:
            from charrnn.tasks.language.adapting import adapted_score

            return adapted_score(self, read, adapt, device)
        (tokens, characters, pricing), start_id = read, self.tokenizer.start_id
        # The torch network has no int8 weights and no n-gram models; what is evaluated must be what
        # samples.
        if self.precision != "float32" or self.checkpoint.mixture is not None:
            return score_tokens(self.engine, tokens, characters, start_id, pricing)
        from charrnn.tasks.language.evaluate import evaluate_checkpoint

        given = self.given_threads is not None
        return evaluate_checkpoint(self.checkpoint, read, start_id, device, self.threads, given)

    def label_scores_of(self, read: tuple[Ids, int, Pricing]) -> "list[LabelScore]":
        """The score of each label in what was read; empty if the model has no labels."""
        from charrnn.tasks.language.conditions import labels_of
        from charrnn.tasks.language.label_scores import label_scores

        known = labels_of(self)
        if not known or self.engine.config.reset_id < 0:
            return []
        tokens, characters, pricing = read
        return label_scores(self.engine, self.tokenizer, tokens, characters, known, pricing)

    def read(
        self,
        split: str = "valid",
        file: str | Path | None = None,
        encoding: str | None = None,
        errors: str = "strict",
        on_note: Callable[[str], None] | None = None,
    ) -> tuple[Ids, int, Pricing]:
        """What `evaluate` reads: tokens, how many characters they are, and their pricing."""
        if split not in SPLITS:
            raise UsageError(f"there is no split {split!r}", "choose train, valid or test")
        if file is not None:
            reading, tally = self.reading(encoding, errors), Tally()
            read = read_text(Path(file), self.tokenizer, reading, tally)
            if on_note is not None:
                for note in tally.notes(reading):
                    on_note(note)
            return read
        if self.corpus is None or not self.corpus.size(split):
            raise CorpusError(
                f"there is no {split} part next to {self.path}", "give a text with --file"
            )
        part = self.corpus.splits[split]
        return part.load(), part.characters, self.corpus.pricing(split)

    def save(self, path: str | Path) -> Path:
        """Write the model for sharing -> its path; a name that ends in .onnx becomes ONNX."""
        if Path(path).suffix.lower() == ".onnx":
            from charrnn.inference.graphs import export

            export(self.checkpoint.without_training_state(), Path(path))
            return Path(path)
        return super().save(path)
