"""Bars: with the filter they add up, whatever the model says and whatever tokens spell them."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from charrnn.data.tunes import abc
from charrnn.data.tunes.bars import bars
from charrnn.errors import UsageError
from charrnn.inference.bars import BarsConstraint, looks_like_abc
from charrnn.inference.beam_search import beam_search, text_of
from charrnn.inference.constraints import Constraints
from charrnn.inference.generation import GenerationState, SamplingParams, begin, generate
from charrnn.inference.sampling import Context
from charrnn.tokenizers import TOKENIZERS, Tokenizer
from charrnn.tokenizers.documents import END, DocumentTokenizer
from tests.support.steppers import Table, noise, pairs
from tests.support.tiny import TinyTextModel

HEADER = "X:1\nM:3/4\nL:1/8\nK:D\n"
TEXT = (
    HEADER + '|:"D"A2f2d2|"A7"(3Bcde/2d/2c2|[1d6:|[2d4-d2|]\n' + END
    + "X:1\nM:6/8\nL:1/8\nK:Em\nG|E3G,B,3/2^c/4=c/4|[M:2/4]z4||_B'c''|\n" + END
) * 4  # fmt: skip


@cache
def tokenizer_of(name: str = "char") -> Tokenizer:
    size = 300 if name == "subword" else None
    inner = TOKENIZERS[name].train([TEXT.replace(END, "")], vocab_size=size)
    return DocumentTokenizer(inner)


def model_of(name: str = "char", spread: float = 1.5) -> TinyTextModel:
    return TinyTextModel(tokenizer_of(name), noise(tokenizer_of(name).vocab_size, spread=spread))


def written(
    count: int = 4,
    length: int = 80,
    name: str = "char",
    prompt: str = "",
    model: Table | None = None,
) -> list[str]:
    """Whole texts, with their prompt, as far as they were drawn."""
    own = model_of(name) if model is None else TinyTextModel(tokenizer_of(name), model)
    texts = [prompt] * count
    starts = [begin(own.tokenizer, prompt)] * count
    filters = [BarsConstraint(own.tokenizer)]
    for chunk in generate(own, starts, SamplingParams(length, seed=3), range(count), filters):
        texts[chunk.index] += chunk.text
    return texts


def wrong_bars(texts: Sequence[str]) -> tuple[int, int]:
    """Texts of tunes -> wrong bars, and all; what stands behind the last line is not whole."""
    wrong = total = 0
    for text in texts:
        head, music = text[: text.index("\nK:") + 1], text[text.index("\nK:") + 1 :]
        # A line at the very end may be the beginning of another one.
        ends = [found.end() for found in re.finditer(r"(?<=[\w/',])\|(?=[^|:\]])", music)]
        whole = head + music[: ends[-1] if ends else music.rindex("|") + 1]
        counted = list(bars(abc.parse(whole.splitlines(), Counter())))
        total += len(counted)
        wrong += sum(each.wrong for each in counted)
    return wrong, total


def test_of_two_hundred_tunes_of_a_model_that_knows_nothing_no_bar_is_wrong() -> None:
    texts = [text for text in written(200, 100, prompt=HEADER) if "|" in text[len(HEADER) :]]
    wrong, total = wrong_bars(texts)
    assert (wrong, total > 500) == (0, True)


def test_without_the_filter_most_bars_of_that_model_are_wrong() -> None:
    """The test above can fail: the model itself does not count."""
    model, texts = model_of(), [HEADER] * 20
    for chunk in generate(
        model, [begin(model.tokenizer, HEADER)] * 20, SamplingParams(200), range(20)
    ):
        texts[chunk.index] += chunk.text
    music = ["".join(each for each in text[len(HEADER) :] if each in "ABcd|z") for text in texts]
    wrong, total = wrong_bars([HEADER + each + "z|A|" for each in music])
    assert wrong > total / 4


@pytest.mark.parametrize("name", ["byte", "subword", "word"])
def test_whatever_tokens_spell_a_tune_its_bars_add_up(name: str) -> None:
    texts = [each for each in written(8, 120, name, HEADER) if "|" in each[len(HEADER) :]]
    assert wrong_bars(texts)[0] == 0
    assert len(texts) > 4


def test_a_model_that_lacks_what_a_tune_needs_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot write a tune, character by character"):
        BarsConstraint(TOKENIZERS["char"].train(["Once upon a time.\n"]))


def test_tunes_end_where_the_model_has_learned_to_end_them() -> None:
    texts = written(10, 3000, model=pairs(tokenizer_of(), TEXT))
    assert sum(text.endswith("\n") for text in texts) >= 8
    assert wrong_bars(texts)[0] == 0


def test_a_beam_search_counts_bars_over_a_head_that_is_far_behind() -> None:
    model = TinyTextModel(tokenizer_of(), pairs(tokenizer_of(), TEXT))
    prompt = HEADER + "A2f2d2|" * 60
    start = begin(model.tokenizer, prompt)
    found = beam_search(model, start, 3, SamplingParams(40), (BarsConstraint(model.tokenizer),))
    text = prompt + text_of(model.tokenizer, start, found)
    assert len(prompt) > 400
    assert wrong_bars([text])[0] == 0


def test_a_text_goes_on_from_its_state_as_if_it_had_not_been_cut() -> None:
    model = model_of()
    whole = written(1, 400)[0]
    start, text = begin(model.tokenizer, ""), ""
    for length in (7, 300, 93):
        params = SamplingParams(length, seed=3, resumable=True)
        end: GenerationState | None = None
        for chunk in generate(model, [start], params, [0], [BarsConstraint(model.tokenizer)]):
            text, end = text + chunk.text, chunk.end or end
        assert end is not None
        start = end
    assert text == whole


def test_a_prompt_that_is_no_tune_is_an_error_and_one_that_is_wrong_goes_on() -> None:
    with pytest.raises(UsageError, match="does not begin a tune"):
        written(prompt="ABcd|")
    assert wrong_bars(written(1, 120, prompt=HEADER + "A2>f2d2|"))[1] > 1


def test_a_key_and_meter_that_a_prompt_contradicts_are_an_error() -> None:
    own = tokenizer_of()
    asked = BarsConstraint(own, key="Em", meter="6/8")
    with pytest.raises(UsageError, match="of this --key and --meter"):
        asked(
            np.zeros((1, own.vocab_size), np.float32), Context(own.encode(HEADER)[None].astype(int))
        )


def test_other_constraints_can_leave_nothing_and_one_line_says_so() -> None:
    own = tokenizer_of()
    with pytest.raises(UsageError, match="--allow leaves no tune"):
        BarsConstraint(own, allow="abc")
    nothing = np.full((1, own.vocab_size), -np.inf, np.float32)
    asked, context = BarsConstraint(own), Context(np.array([[own.start_id]]))
    with pytest.raises(UsageError, match="--bars leaves nothing"):
        asked(nothing, context)


def test_no_character_of_the_prompt_is_asked_for_again_and_again() -> None:
    """After the first pass a step is a look-up: all that it finds is kept."""
    own = BarsConstraint(tokenizer_of())
    logits = np.zeros((1, tokenizer_of().vocab_size), np.float32)
    history = np.concatenate([[tokenizer_of().start_id], tokenizer_of().encode(HEADER)])[None]
    own(logits, Context(history.astype(int)))
    found = len(own._nodes)
    own.renewed()(logits, Context(history.astype(int)))
    assert len(own._nodes) == found > 10


@pytest.mark.parametrize(
    ("text", "is_abc"),
    [
        ("X:1\nT:A\nM:4/4\nL:1/8\nK:G\n|: A2 B2 | c8 :|\n\nX:2\nM:2/4\nK:C\nA2|\n", True),
        ("The miller's cat sat.\n" * 20, False),
        ("X: marks the spot.\nX: again.\n", False),
        ("", False),
    ],
)  # fmt: skip
def test_a_text_is_recognized_as_abc_by_its_heads_and_bars(text: str, is_abc: bool) -> None:
    assert looks_like_abc(text) == is_abc


def test_bars_come_after_known_words_and_before_the_pattern() -> None:
    own = tokenizer_of()
    asked = Constraints(ban=("ff",), pattern="X:1\n(?s:.)*")
    filters, _ = asked.filters(own, lambda: None, bars=BarsConstraint(own))  # type: ignore[arg-type, return-value]
    assert [getattr(each, "name", "") for each in filters] == ["ban", "bars", "regex"]
