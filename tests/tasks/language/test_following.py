"""A model that follows a text: it learns what is written, and unlearns what is taken back."""

from pathlib import Path

import numpy as np
import pytest

from charrnn.activity import listen
from charrnn.cli.draft import Chain, Draft
from charrnn.errors import UsageError
from charrnn.tasks.language import following
from charrnn.tasks.language.adapting import WINDOW
from charrnn.tasks.language.following import FollowingModel
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tokenizers import TOKENIZERS
from tests.support.tiny import TEXT
from tests.tasks.language.test_adapting import mixed, model_of

LINES = [TEXT[begin : begin + 3 * WINDOW] for begin in range(0, 12 * WINDOW, 3 * WINDOW)]


def logits(model: FollowingModel) -> bytes:
    """What the engine says after a token, to the last bit."""
    return model.engine.step(np.array([4]), model.engine.zero_state(1))[0].tobytes()


@pytest.mark.parametrize("most", [2, 16])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_what_is_taken_back_is_unlearned_and_learned_again(
    most: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MOST_SNAPSHOTS", most)
    base = model_of(tokenizer=name)
    before = {k: v.copy() for k, v in base.checkpoint.weights.items()}
    model, texts = FollowingModel(base), ["".join(LINES[: n + 1]) * 2 for n in range(4)]
    found = {}
    for text in texts:
        model.follow(text)
        found[text] = logits(model)
    assert len(set(found.values())) == len(texts)
    for text in (*reversed(texts), *texts):
        model.follow(text)
        assert logits(model) == found[text]
    fresh = FollowingModel(base)
    fresh.follow(texts[1])
    assert logits(fresh) == found[texts[1]]
    model.follow("")
    assert model.engine is base.engine
    assert all(np.array_equal(base.checkpoint.weights[k], v) for k, v in before.items())


def test_the_text_becomes_likelier_in_a_mixture_too() -> None:
    plain = model_of().checkpoint
    for checkpoint in (plain, mixed(plain)):
        base = LanguageModel(checkpoint, Path("m.safetensors"), 1)
        model = FollowingModel(base, adapt=2.0)
        static = base.score(LINES[0]).nats
        model.follow(TEXT)
        base.engine = model.engine
        assert base.score(LINES[0]).nats < static - 5


def test_only_the_text_is_learned_from_and_not_what_is_offered() -> None:
    model = FollowingModel(model_of())
    draft = Draft(model, TEXT, 1.0, 50, 1, Chain(follow=model.follow))
    first, offer = logits(model), draft.offer
    draft.again()
    assert logits(model) == first
    draft.add(TEXT)
    second = logits(model)
    assert second != first
    draft.undo()
    assert logits(model) == first
    draft.redo()
    assert logits(model) == second
    again = FollowingModel(model_of())
    assert Draft(again, TEXT, 1.0, 50, 1, Chain(follow=again.follow)).offer == offer


def test_an_interruption_leaves_a_model_that_goes_on() -> None:
    model, whole = FollowingModel(model_of()), FollowingModel(model_of())

    def stop(work: object) -> None:
        if getattr(work, "done", 0) > WINDOW:
            raise KeyboardInterrupt

    with listen(stop), pytest.raises(KeyboardInterrupt):
        model.follow(TEXT)
    for each in (model, whole):
        each.follow(TEXT)
    assert logits(model) == logits(whole)


def test_int8_weights_do_not_learn() -> None:
    with pytest.raises(UsageError, match="int8 cannot adapt"):
        FollowingModel(LanguageModel(model_of().checkpoint, Path("m.safetensors"), 1, "int8"))
