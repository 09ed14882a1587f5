"""Replies that answer: log p(reply | said) less a part of log p(reply)."""

from pathlib import Path

import numpy as np

from charrnn.inference.generation import begin
from charrnn.inference.sampling import log_softmax
from charrnn.tasks.language.turns import PLAUSIBLE, RelevantStepper
from tests.support.chats import chat_model


def test_the_logits_of_the_first_tokens_are_weighed_and_the_others_are_the_engines(
    tmp_path: Path,
) -> None:
    model = chat_model(tmp_path)
    engine, tokenizer = model.engine, model.tokenizer
    said = begin(tokenizer, "Ann: hello\nBob: ").ids
    alone = begin(tokenizer, "Bob: ").ids
    stepper = RelevantStepper(engine, alone, relevance=0.5, tokens=2)
    logits, state = stepper.read_prompt(said[:, None], stepper.zero_state(1))
    expected, one = engine.read_prompt(said[:, None], engine.zero_state(1))
    other, two = engine.read_prompt(alone[:, None], engine.zero_state(1))
    ids = tokenizer.encode("fin").astype(np.int64)
    for number in range(3):
        known = log_softmax(expected)
        plausible = known >= known.max() + np.log(PLAUSIBLE)
        alone = np.log((np.exp(known) + np.exp(log_softmax(other))) / 2)
        weighed = 2 * known - alone if number < 2 else expected
        np.testing.assert_allclose(logits[plausible], weighed[plausible], atol=1e-4)
        # Whatever is not plausible stays below all that is.
        if number < 2:
            assert logits[~plausible].max(initial=-np.inf) < logits[plausible].min()
        logits, state = stepper.step(ids[number : number + 1], state)
        expected, one = engine.step(ids[number : number + 1], one)
        other, two = engine.step(ids[number : number + 1], two)


def test_a_reply_with_relevance_goes_on_from_the_conversation_alone(tmp_path: Path) -> None:
    model = chat_model(tmp_path)
    chat = model.chat(seed=1, relevance=0.5, max_length=40)
    chat.reply("how are you 1?")
    chat.reply("good!")
    ids = np.concatenate([[model.tokenizer.start_id], model.tokenizer.encode(chat.transcript())])
    state = chat._state.state
    assert state is not None
    found, _ = model.engine.read_prompt(chat._state.ids[:, None], state)
    whole = ids.astype(np.int64)[:, None]
    expected, _ = model.engine.read_prompt(whole, model.engine.zero_state(1))
    np.testing.assert_allclose(found, expected, atol=1e-5)
