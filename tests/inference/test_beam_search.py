"""Beam search: width 1 is greedy, a full width is exact, and constraints are kept."""

import itertools
import math

import numpy as np
import pytest

from charrnn.errors import UsageError
from charrnn.inference.beam_search import Hypothesis, beam_search
from charrnn.inference.constraints import BanConstraint
from charrnn.inference.engine import Engine
from charrnn.inference.generation import GenerationState, SamplingParams, begin, generate
from charrnn.inference.patterns import RegexConstraint
from charrnn.inference.sampling import Context, Logits, bias
from charrnn.inference.sampling.base import log_softmax
from charrnn.tokenizers import TOKENIZERS, Tokenizer
from tests.support.steppers import Table, noise
from tests.support.tiny import TinyTextModel, smallest_checkpoint

CHARS: Tokenizer = TOKENIZERS["char"].train(["abc\n"])
LETTERS = CHARS.encode("abc\n").tolist()
NEWLINE = CHARS.newline_id


def table(**following: str) -> Table:
    """Transition probabilities: a="b9 /1" is b with probability 0.9 after a, a newline with 0.1."""
    logits = np.full((CHARS.vocab_size, CHARS.vocab_size), -40.0)
    for before, transitions in following.items():
        row = NEWLINE if before == "start" else int(CHARS.encode(before)[0])
        for each in transitions.split(" "):
            token = int(CHARS.encode(each[0].replace("/", "\n"))[0])
            logits[row, token] = math.log(float(each[1:]) / 10)
    return Table(logits)


def found(model: Table, width: int, length: int = 3, lines: bool = False) -> Hypothesis:
    """The best continuation of an empty prompt."""
    return beam_search(
        TinyTextModel(CHARS, model), begin(CHARS, ""), width, SamplingParams(length, lines=lines)
    )


def text(best: Hypothesis) -> str:
    """A continuation's text."""
    return CHARS.decode(best.ids)


def all_continuations(model: Table, length: int, lines: bool) -> list[Hypothesis]:
    """All continuations of an empty prompt, with their log-probabilities."""
    logprobs = log_softmax(model.logits)
    found = []
    for ids in itertools.product(LETTERS, repeat=length):
        end = ids.index(NEWLINE) + 1 if lines and NEWLINE in ids else length
        chain = (NEWLINE, *ids[:end])
        total = sum(logprobs[a, b] for a, b in itertools.pairwise(chain))
        found.append(Hypothesis(ids[:end], float(total), "end" if end < length else "length"))
    return found


def per_token(each: Hypothesis) -> float:
    return each.logprob / len(each.ids)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("lines", [False, True])
def test_a_width_of_one_is_greedy(cell: str, lines: bool) -> None:
    model = smallest_checkpoint(training=False, cell=cell, hidden_size=8)
    tokenizer, engine = model.tokenizer, Engine(model, threads=1)
    start = begin(tokenizer, "The mill")
    settings = SamplingParams(60, lines=lines, values={"temperature": 0.0}, logprobs=0)
    drawn = [
        t for p in generate(TinyTextModel(tokenizer, engine), [start], settings) for t in p.logprobs
    ]
    best = beam_search(TinyTextModel(tokenizer, engine), start, 1, settings)
    assert list(best.ids) == [token.id for token in drawn]
    assert best.logprob == pytest.approx(sum(token.logprob for token in drawn), abs=1e-3)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_a_beam_as_wide_as_the_search_space_finds_the_best(
    seed: int, lines: bool, length: int
) -> None:
    model = noise(CHARS.vocab_size, seed)
    # Only tokens that may be sampled are searched; their probabilities stay the model's own.
    continuations = all_continuations(model, length, lines)
    best = max(continuations, key=per_token)
    best_found = found(model, 4**length + 1, length, lines=lines)
    assert best_found.ids == best.ids
    assert best_found.logprob == pytest.approx(best.logprob, abs=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_the_search_is_exact_for_a_model_with_a_state(seed: int) -> None:
    model = smallest_checkpoint(step=seed, training=False, cell="gru", hidden_size=8)
    tokenizer, engine = model.tokenizer, Engine(model, threads=1)
    start = begin(tokenizer, "cat")
    best: tuple[int, ...] = ()
    total = -math.inf
    letters = [i for i in range(tokenizer.vocab_size) if i not in tokenizer.unsampled]
    logits, state = engine.read_prompt(start.ids[:, None], engine.zero_state(1))
    first = log_softmax(logits)[0]
    after, _ = engine.step(np.array(letters), [part.repeat(len(letters), 0) for part in state])
    for place, token in enumerate(letters):
        second = log_softmax(after[place : place + 1])[0]
        for then in letters:
            if first[token] + second[then] > total:
                best, total = (token, then), first[token] + second[then]
    best_found = beam_search(
        TinyTextModel(tokenizer, engine), start, len(letters) ** 2, SamplingParams(2)
    )
    assert best_found.ids == best
    assert best_found.logprob == pytest.approx(total, abs=1e-4)


def test_a_wider_beam_can_start_with_a_less_likely_token() -> None:
    model = table(start="a6 b4", a="a5 c5", b="b10", c="c4 a6")
    assert text(found(model, 1, 2)) == "aa"
    best = found(model, 2, 2)
    assert text(best) == "bb"
    assert best.logprob == pytest.approx(math.log(0.4), abs=1e-5)
    assert best.finish == "length"


def test_a_wider_beam_is_never_worse_for_this_model() -> None:
    model = noise(CHARS.vocab_size, 3)
    totals = [found(model, width, 6).logprob for width in (1, 4, 4**6)]
    assert totals == sorted(totals)
    assert totals[0] < totals[-1]


def test_ties_are_broken_in_favour_of_lower_ids() -> None:
    model = Table(np.zeros((CHARS.vocab_size, CHARS.vocab_size)))
    assert found(model, 3, 2).ids == (min(LETTERS),) * 2


def test_with_lines_a_text_ends_with_the_id_of_the_newline() -> None:
    model = table(start="a9 b1", a="/9 b1", b="b9 a1")
    best = found(model, 2, 50, lines=True)
    assert (text(best), best.finish) == ("a\n", "end")
    assert best.logprob == pytest.approx(2 * math.log(0.9), abs=1e-5)


def test_without_lines_a_newline_is_a_character() -> None:
    model = table(start="a10", a="/10")
    best = found(model, 2, 5)
    assert (text(best), best.finish) == ("a\na\na", "length")


def test_a_longer_text_of_more_likely_tokens_beats_a_short_one() -> None:
    model = table(start="/4 a6", a="a9 /1")
    best = found(model, 8, 6, lines=True)
    assert (text(best), best.finish) == ("aaaaaa", "length")


def test_unfinished_hypotheses_compete_with_complete_ones() -> None:
    # Two lines end at once; c, unfinished, has the best average then and keeps it.
    model = table(start="a3 b3 c4", a="/10", b="/10", c="c9 a1")
    assert found(model, 3, 9, lines=True).ids == tuple(CHARS.encode("c" * 9).tolist())
    # Here it loses it, to a line that was complete before.
    model = table(start="a3 b3 c4", a="/10", b="b3 c3 a2 /2", c="b9 a1")
    best = found(model, 2, 9, lines=True)
    assert (text(best), best.finish) == ("a\n", "end")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("width", [1, 2, 4])
def test_only_texts_of_full_length_finish_by_length(seed: int, width: int) -> None:
    best = found(noise(CHARS.vocab_size, seed), width, 7, lines=True)
    assert (len(best.ids) == 7) if best.finish == "length" else best.ids[-1] == NEWLINE
    assert NEWLINE not in best.ids[:-1]


def test_the_search_ends_when_the_beam_is_full_of_complete_texts() -> None:
    model = table(start="/5 a5", a="/5 a5")
    found(model, 2, 1000, lines=True)
    assert model.steps <= 3


def test_length_zero_gives_an_empty_hypothesis() -> None:
    assert found(noise(CHARS.vocab_size), 3, 0) == Hypothesis((), 0.0, "length")


def test_a_prompt_and_a_state_are_continued() -> None:
    model = table(a="b10", b="c10", c="a10")
    start = begin(CHARS, "ab")
    assert (
        CHARS.decode(beam_search(TinyTextModel(CHARS, model), start, 2, SamplingParams(4)).ids)
        == "cabc"
    )
    end = GenerationState(
        np.array(CHARS.encode("c")), [np.ones((1, 1), np.float32)] * 2, start.ids, 3
    )
    assert (
        CHARS.decode(beam_search(TinyTextModel(CHARS, model), end, 2, SamplingParams(2)).ids)
        == "ab"
    )


def test_tokens_that_never_occurred_in_the_training_text_are_not_found() -> None:
    logits = np.zeros((CHARS.vocab_size, CHARS.vocab_size))
    logits[:, CHARS.unsampled] = 30.0
    best = found(Table(logits), 3, 4)
    assert not set(best.ids) & set(CHARS.unsampled)


def test_a_bias_rules_out_tokens_but_does_not_change_probabilities() -> None:
    model = table(start="a6 b4", a="a10", b="b10")
    rule = bias({LETTERS[0]: -np.inf, LETTERS[1]: 50.0}, CHARS.vocab_size)
    best = beam_search(TinyTextModel(CHARS, model), begin(CHARS, ""), 2, SamplingParams(3), (rule,))
    assert text(best) == "bbb"
    assert best.logprob == pytest.approx(math.log(0.4), abs=1e-5)


@pytest.mark.parametrize("width", [1, 2, 3, 8])
@pytest.mark.parametrize("banned", [("aa",), ("ab", "ca"), ("abc", "bb", "cc"), ("a\n", "aaa")])
@pytest.mark.parametrize("seed", range(4))
def test_a_ban_holds_when_hypotheses_are_reordered(
    width: int, banned: tuple[str, ...], seed: int
) -> None:
    model, start = noise(CHARS.vocab_size, seed), begin(CHARS, "")
    best = beam_search(
        TinyTextModel(CHARS, model),
        start,
        width,
        SamplingParams(12),
        (BanConstraint(banned, CHARS),),
    )
    assert not any(each in text(best) for each in banned)


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_with_a_ban_is_exact(seed: int) -> None:
    model, banned = noise(CHARS.vocab_size, seed), ("ab", "b\n", "ccc")
    continuations = [
        w for w in all_continuations(model, 4, False) if not any(b in text(w) for b in banned)
    ]
    best = max(continuations, key=per_token)
    rule = BanConstraint(banned, CHARS)
    best_found = beam_search(
        TinyTextModel(CHARS, model), begin(CHARS, ""), 300, SamplingParams(4), (rule,)
    )
    assert best_found.ids == best.ids


def test_every_hypothesis_has_its_own_row_number_and_history() -> None:
    seen: list[Context] = []

    def note(logits: Logits, context: Context) -> Logits:
        seen.append(context)
        assert len(logits) == len(context.rows) == len(context.history) == len(context.uniform)
        return logits

    beam_search(
        TinyTextModel(CHARS, noise(CHARS.vocab_size)),
        begin(CHARS, "ab"),
        3,
        SamplingParams(5),
        (note,),
    )
    rows = [row for context in seen for row in context.rows]
    assert len(rows) == len(set(rows)) == 1 + 3 * 4
    assert [context.history.shape[1] for context in seen] == [3, 4, 5, 6, 7]
    for context in seen:
        assert CHARS.decode(context.history[0, :3].tolist()) == "\nab"
        assert len({tuple(row) for row in context.history.tolist()}) == len(context.rows)


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("pattern", ["[ab]{2,5}", "(ab|c)+", "a.*c"])
def test_a_pattern_is_matched_completely_or_partially(width: int, pattern: str) -> None:
    import regex

    model = noise(CHARS.vocab_size, 5)
    rule = RegexConstraint(pattern, CHARS)
    best = beam_search(
        TinyTextModel(CHARS, model), begin(CHARS, ""), width, SamplingParams(20), (rule,), rule.ends
    )
    if best.finish == "stop":
        assert best.ids[-1] == NEWLINE
        assert regex.fullmatch(pattern, text(best)[:-1])
    else:
        assert regex.fullmatch(pattern, text(best), partial=True)
    assert best.finish == "stop" or pattern != "[ab]{2,5}"


def test_ends_is_called_with_the_row_number_of_the_hypothesis() -> None:
    asked: list[tuple[int, int]] = []

    def third(row: int, token: int) -> bool:
        asked.append((row, token))
        return row == 3

    model = noise(CHARS.vocab_size, 2)
    best = beam_search(
        TinyTextModel(CHARS, model), begin(CHARS, ""), 1, SamplingParams(9), (), third
    )
    assert best.finish == "stop"
    assert len(best.ids) == 4
    assert asked == list(enumerate(best.ids))


def test_a_pattern_that_no_hypothesis_can_match_is_a_usage_error() -> None:
    rule = RegexConstraint("ax", CHARS)
    with pytest.raises(UsageError, match="and matches --regex"):
        beam_search(
            TinyTextModel(CHARS, noise(20)),
            begin(CHARS, ""),
            2,
            SamplingParams(5),
            (rule,),
            rule.ends,
        )
