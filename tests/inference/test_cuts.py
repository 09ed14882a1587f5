"""A text cut anywhere: its two halves are the uninterrupted text, with every option."""

from pathlib import Path
from typing import Any

import pytest

from charrnn import api
from charrnn.inference import state_file
from charrnn.inference.constraints import Constraints
from charrnn.inference.generation import GenerationState, SamplingParams, begin, resume
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tokenizers import TOKENIZERS
from tests.support.tiny import tiny_run

TEXT = "Der Müller mahlt 😀.\nDas Café hat offen für 7 €!\nIch weiß, die Katze saß.\n" * 20

OPTIONS: dict[str, tuple[dict[str, float], tuple[str, ...], Constraints]] = {
    "plain": ({}, (), Constraints()),
    "mirostat": ({"mirostat": 2, "mirostat_tau": 2.5, "mirostat_eta": 0.7}, (), Constraints()),
    "dry": ({"dry_multiplier": 2, "dry_allowed_length": 2}, (), Constraints()),
    "penalties": ({"presence_penalty": 0.4, "penalty_last_n": -1}, (), Constraints()),
    "xtc": ({"xtc_probability": 0.5}, (), Constraints()),
    "stop": ({"temperature": 0.8}, ("e\nD", "Katzen", "a7", "é€"), Constraints()),
    "ban": ({}, (), Constraints(ban=("e", "ü", "at", "r M", "\n"))),
    "allow": ({}, (), Constraints(allow="aeiüé€ nrs\n")),
    "no-copy": ({}, (), Constraints(no_copy=3)),
    "regex": ({}, (), Constraints(pattern="([A-Za-zü ]{3,9}[€é.,]\n?)+")),
    "novel": ({}, (), Constraints(novel=True)),
}


@pytest.fixture(scope="module", params=list(TOKENIZERS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model that was never trained, with its corpus, for each tokenizer."""
    name: str = request.param
    more = {"vocab_size": 340} if name == "subword" else {}
    run = tiny_run(tmp_path_factory.mktemp(name), name, TEXT, **more)
    return api.load(run, checkpoint="latest", threads=1)


def pieces(
    model: LanguageModel, lengths: list[int], option: str, file: Path
) -> tuple[list[str], list[str | None]]:
    """The texts of a sample that is saved and loaded after these numbers of tokens."""
    values, stop, constraints = OPTIONS[option]
    start: GenerationState = begin(model.tokenizer, "Das")
    texts: list[str] = []
    finishes: list[str | None] = []
    for number, length in enumerate(lengths):
        last = number == len(lengths) - 1
        params = SamplingParams(length, stop=stop, seed=5, values=values, resumable=not last)
        chunks = list(model.generate([start], params, constraints=constraints))
        texts.append("".join(chunk.text for chunk in chunks))
        finishes.append(chunks[-1].finish)
        if chunks[-1].finish != "length":
            break
        end = chunks[-1].end
        assert end is not None
        state_file.save(file, end, 5, model.checkpoint)
        start, _ = state_file.load(file, model.checkpoint)
    return texts, finishes


@pytest.mark.parametrize("option", OPTIONS)
def test_the_halves_of_a_text_are_the_uninterrupted_text(
    option: str, model: LanguageModel, tmp_path: Path
) -> None:
    if model.tokenizer.name == "word" and option in ("allow", "regex", "no-copy"):
        pytest.skip("words of this text cannot satisfy it")
    (whole,), (finish,) = pieces(model, [60], option, tmp_path / "s")
    for cut in (1, 2, 3, 7, 18, 31, 44, 59):
        texts, finishes = pieces(model, [cut, 60 - cut], option, tmp_path / "s")
        assert "".join(texts) == whole, (cut, texts)
        assert finishes[-1] == finish


def test_a_text_can_be_cut_after_every_token(model: LanguageModel, tmp_path: Path) -> None:
    (whole,), _ = pieces(model, [25], "stop", tmp_path / "s")
    assert "".join(pieces(model, [1] * 25, "stop", tmp_path / "s")[0]) == whole


def test_an_interrupted_text_is_saved_where_it_was(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, "byte", TEXT)
    model: LanguageModel = api.load(run, checkpoint="latest", threads=1)
    start, asked = begin(model.tokenizer, ""), iter([False] * 9 + [True])
    chunks = list(
        model.generate(
            [start], SamplingParams(50, seed=2, resumable=True), interrupted=lambda: next(asked)
        )
    )
    assert (chunks[-1].finish, chunks[-1].tokens) == ("interrupted", 10)
    end = chunks[-1].end
    assert end is not None
    rest = list(model.generate([end], SamplingParams(40, seed=2)))
    whole = list(model.generate([start], SamplingParams(50, seed=2)))
    assert "".join(c.text for c in chunks + rest) == "".join(c.text for c in whole)


def test_more_prompt_begins_the_text_anew(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    model: LanguageModel = api.load(run, checkpoint="latest", threads=1)
    state = GenerationState(
        begin(model.tokenizer, "a").ids, held="ab", filters={"mirostat": 3.5, "ban": ["a", []]}
    )
    after = resume(model.tokenizer, state, "cat")
    assert (after.held, after.filters) == ("", {"mirostat": 3.5})
    assert resume(model.tokenizer, state, "") is state


@pytest.mark.parametrize(
    "filters",
    [[], {"ban": float("nan")}, {"ban": ["a"]}, {"ban": ["a", [10**6]]}, {"b": None}],
    ids=str,
)
def test_filters_that_no_filter_wrote_are_refused(filters: Any) -> None:
    assert not state_file._are_filters(filters, 300)


def test_a_filter_ignores_what_another_kind_of_filter_wrote(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    model: LanguageModel = api.load(run, checkpoint="latest", threads=1)
    forged = GenerationState(
        begin(model.tokenizer, "a").ids, filters={"mirostat": ["a", []], "ban": 3, "regex": 1.0}
    )
    asked = Constraints(ban=("x",), pattern="[a-z ]+")
    params = SamplingParams(5, values={"mirostat": 2})
    assert list(model.generate([forged], params, constraints=asked))
