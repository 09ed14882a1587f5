"""Generation with a stub model of known logits, and with a real engine."""

from collections.abc import Sequence

import numpy as np
import pytest

from charrnn.inference.engine import Engine, State, Stepper
from charrnn.inference.generation import (
    Chunk,
    GenerationState,
    SamplingParams,
    begin,
    generate,
    resume,
)
from charrnn.inference.sampling import Logits
from charrnn.tokenizers import TOKENIZERS, Tokenizer
from tests.support.tiny import TinyTextModel, tiny_checkpoint

CHARS: Tokenizer = TOKENIZERS["char"].train(["abcdé\n"])


class Cycle:
    """A model that repeats abcd and a newline."""

    order = "abcd\n"

    def __init__(self) -> None:
        self.read: list[list[int]] = []

    def zero_state(self, rows: int) -> State:
        """The number of tokens read, for each row."""
        return [np.zeros((rows, 1), np.float32)]

    def read_prompt(self, ids: np.ndarray, state: State) -> tuple[Logits, State]:
        """The logits after the last of the tokens."""
        self.read += ids.T.tolist()
        logits, _ = self.step(ids[-1], state)
        return logits, [state[0] + len(ids)]

    def step(self, ids: np.ndarray, state: State) -> tuple[Logits, State]:
        """Near certainty of the next character in the cycle."""
        logits = np.full((len(ids), CHARS.vocab_size), -50.0, np.float32)
        for row, token in enumerate(ids.tolist()):
            place = self.order.find(CHARS.decode([token]))
            following = self.order[(place + 1) % len(self.order)]
            logits[row, CHARS.encode(following)[0]] = 0.0
        return logits, [state[0] + 1]


def run(
    prompt: str = "", count: int = 1, engine: Stepper | None = None, **values: object
) -> list[Chunk]:
    """All chunks of `count` samples of one prompt, by default of the Cycle model."""
    start = begin(CHARS, prompt)
    params = SamplingParams(**values)  # type: ignore[arg-type]
    return list(
        generate(TinyTextModel(CHARS, engine or Cycle()), [start] * count, params, range(count))
    )


def text(chunks: Sequence[Chunk], index: int = 0) -> str:
    """The text of one sample."""
    return "".join(chunk.text for chunk in chunks if chunk.index == index)


def test_a_text_without_prompt_begins_after_a_newline() -> None:
    engine = Cycle()
    assert text(run(length=7, engine=engine)) == "abcd\nab"
    assert engine.read == [[CHARS.newline_id]]


def test_a_prompt_is_read_after_the_newline_and_continued() -> None:
    engine = Cycle()
    assert text(run("ab", length=3, engine=engine)) == "cd\n"
    assert engine.read == [[CHARS.newline_id, *CHARS.encode("ab").tolist()]]


def test_length_ends_a_text() -> None:
    last = run(length=3)[-1]
    assert (last.finish, last.tokens, last.text) == ("length", 3, "c")


def test_length_zero_reads_nothing_and_is_complete() -> None:
    engine = Cycle()
    chunks = run(length=0, count=2, engine=engine)
    assert [(p.index, p.text, p.finish) for p in chunks] == [(0, "", "length"), (1, "", "length")]
    assert engine.read == []


def test_lines_end_at_a_newline_that_is_not_shown() -> None:
    chunks = run(length=50, lines=True)
    assert text(chunks) == "abcd"
    assert chunks[-1].finish == "end"
    assert chunks[-1].tokens == 5


@pytest.mark.parametrize(
    ("stops", "shown"), [(("c",), "ab"), (("cd\na",), "ab"), (("x", "d\n"), "abc"), (("bx",), None)]
)
def test_a_stop_text_ends_before_it(stops: tuple[str, ...], shown: str | None) -> None:
    chunks = run(length=12, stop=stops)
    assert text(chunks) == (shown if shown is not None else "abcd\nabcd\nab")
    assert chunks[-1].finish == ("stop" if shown is not None else "length")


def test_a_possible_beginning_of_a_stop_text_is_held_back_and_then_shown() -> None:
    shown = [chunk.text for chunk in run(length=5, stop=("bcx",))]
    assert shown == ["a", "bcd", "\n"]


def test_text_held_back_is_shown_with_the_last_token() -> None:
    assert text(run(length=3, stop=("cdz",))) == "abc"


def test_samples_end_independently_and_keep_their_indices() -> None:
    starts = [begin(CHARS, prompt) for prompt in ("", "abc", "a")]
    params = SamplingParams(length=20, lines=True)
    chunks = list(generate(TinyTextModel(CHARS, Cycle()), starts, params, (4, 5, 6)))
    assert [text(chunks, index) for index in (4, 5, 6)] == ["abcd", "d", "bcd"]
    assert {chunk.index: chunk.finish for chunk in chunks} == {4: "end", 5: "end", 6: "end"}


def test_a_shared_start_is_read_once() -> None:
    engine = Cycle()
    chunks = run("a", 3, engine, length=4)
    assert {text(chunks, index) for index in range(3)} == {"bcd\n"}
    assert len(engine.read) == 1


def test_texts_may_be_longer_than_the_history() -> None:
    whole = text(run(length=5000, values={"presence_penalty": 0.5}))
    assert whole == ("abcd\n" * 1000)


def test_logprobs_are_the_models_own_before_any_filter() -> None:
    tokens = [t for p in run(length=2, logprobs=2, values={"temperature": 0.1}) for t in p.logprobs]
    assert [CHARS.decode([token.id]) for token in tokens] == ["a", "b"]
    assert tokens[0].logprob == pytest.approx(0.0, abs=1e-6)
    assert len(tokens[0].top) == 2
    assert tokens[0].top[0] == (tokens[0].id, tokens[0].logprob)
    assert tokens[0].top[1][1] == pytest.approx(-50.0, abs=1e-3)


def test_no_logprobs_unless_asked_for() -> None:
    assert all(chunk.logprobs == () for chunk in run(length=3))


def engine_of(cell: str, tokenizer: str = "char") -> tuple[Tokenizer, Engine]:
    """A real model with random weights."""
    checkpoint = tiny_checkpoint(cell=cell, tokenizer=tokenizer)
    return checkpoint.tokenizer, Engine(checkpoint, threads=1)


CELLS = ("lstm", "gru", "rnn")


@pytest.mark.parametrize("cell", CELLS)
def test_a_sample_is_the_same_alone_and_in_any_batch(cell: str) -> None:
    tokenizer, engine = engine_of(cell)
    start, params = begin(tokenizer, "The"), SamplingParams(length=150, seed=5)
    together = list(generate(TinyTextModel(tokenizer, engine), [start] * 5, params, range(5)))
    for index in range(5):
        alone = list(generate(TinyTextModel(tokenizer, engine), [start], params, [index]))
        assert text(alone, index) == text(together, index)
    assert len({text(together, index) for index in range(5)}) == 5


@pytest.mark.parametrize("cell", CELLS)
def test_the_seed_determines_the_text(cell: str) -> None:
    tokenizer, engine = engine_of(cell)
    start = begin(tokenizer, "")

    def generated(seed: int) -> str:
        return text(
            list(
                generate(
                    TinyTextModel(tokenizer, engine), [start], SamplingParams(length=80, seed=seed)
                )
            )
        )

    assert generated(1) == generated(1)
    assert generated(1) != generated(2)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("cut", [1, 17, 128, 200])
def test_a_continuation_is_the_same_as_an_uninterrupted_text(cell: str, cut: int) -> None:
    tokenizer, engine = engine_of(cell)
    start = begin(tokenizer, "Who")
    values = {"presence_penalty": 0.3, "xtc_probability": 0.3, "penalty_last_n": -1.0}
    whole = list(
        generate(
            TinyTextModel(tokenizer, engine), [start], SamplingParams(300, seed=3, values=values)
        )
    )
    first = list(
        generate(
            TinyTextModel(tokenizer, engine), [start], SamplingParams(cut, seed=3, values=values)
        )
    )
    end = first[-1].end
    assert end is not None
    assert end.drawn == cut
    rest = list(
        generate(
            TinyTextModel(tokenizer, engine),
            [end],
            SamplingParams(300 - cut, seed=3, values=values),
        )
    )
    assert text(first) + text(rest) == text(whole)


def test_more_prompt_can_be_inserted_before_a_continuation() -> None:
    first = run("ab", length=2)
    end = first[-1].end
    assert end is not None
    again = resume(CHARS, end, "abc")
    chunks = list(generate(TinyTextModel(CHARS, Cycle()), [again], SamplingParams(length=3)))
    assert text(chunks) == "d\na"


def test_the_end_state_contains_the_history_of_the_filters() -> None:
    end = run("ab", length=3)[-1].end
    assert isinstance(end, GenerationState)
    known = np.concatenate([end.history, end.ids]).tolist()
    assert CHARS.decode(known) == "\nabcd\n"


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokens_that_never_occurred_in_the_training_text_are_never_generated(name: str) -> None:
    tokenizer, engine = engine_of("gru", name)
    drawn = [
        token.id
        for chunk in generate(
            TinyTextModel(tokenizer, engine),
            [begin(tokenizer, "")],
            SamplingParams(length=400, logprobs=0),
        )
        for token in chunk.logprobs
    ]
    assert len(drawn) == 400
    assert not set(drawn) & set(tokenizer.unsampled)


def test_extra_filters_are_applied() -> None:
    start = begin(CHARS, "")
    banned = int(CHARS.encode("a")[0])

    def no_a(logits: Logits, _: object) -> Logits:
        left = logits.copy()
        left[:, banned] = -np.inf
        return left

    chunks = list(
        generate(TinyTextModel(CHARS, Cycle()), [start], SamplingParams(length=30), extra=[no_a])
    )
    assert "a" not in text(chunks)
