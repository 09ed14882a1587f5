"""Writers: samples in order, whole lines, blank lines between texts, and the fields of JSON."""

import json
import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.cli.output import Output
from charrnn.cli.sample_output import JsonWriter, TextWriter
from charrnn.inference.generation import Chunk, SamplingParams, Token, begin, generate
from charrnn.tokenizers import TOKENIZERS, Tokenizer
from tests.support.steppers import noise
from tests.support.tiny import TinyTextModel

LETTERS: Tokenizer = TOKENIZERS["char"].train(["abc\n"])
BYTES: Tokenizer = TOKENIZERS["byte"].train(["é"])

Write = Callable[[TextWriter | JsonWriter, Sequence[Chunk]], str]


@pytest.fixture
def write(capfdbinary: pytest.CaptureFixture[bytes]) -> Write:
    """Hand chunks to a writer and see what came out."""

    def take(writer: TextWriter | JsonWriter, chunks: Sequence[Chunk]) -> str:
        for chunk in chunks:
            writer.take(chunk)
        writer.out.flush()
        return capfdbinary.readouterr().out.decode()

    return take


def whole(index: int, text: str, finish: str = "length") -> Chunk:
    """A sample in one chunk."""
    return Chunk(index, text, len(text), (), finish)


def texts(*samples: str) -> list[Chunk]:
    """Samples in one chunk each."""
    return [whole(index, sample) for index, sample in enumerate(samples)]


LONG = SamplingParams()


@pytest.mark.parametrize(
    ("samples", "shown"),
    [
        (["abc"], "abc\n"),
        (["abc\n"], "abc\n"),
        (["abc\n\n"], "abc\n\n"),
        (["a", "b", "c"], "a\n\nb\n\nc\n"),
        (["a\n", "b\n"], "a\n\nb\n"),
        ([""], "\n"),
        (["", "a"], "\n\na\n"),
        (["a", ""], "a\n\n\n"),
        (["\n", "a"], "\n\na\n"),
    ],
)
def test_long_texts_end_in_a_newline_and_have_a_blank_line_between(
    samples: list[str], shown: str, write: Write
) -> None:
    assert write(TextWriter([]), texts(*samples)) == shown


@pytest.mark.parametrize(
    ("samples", "shown"),
    [
        (["a"], "a\n"),
        (["a", "b", "c"], "a\nb\nc\n"),
        (["", "", "a", ""], "\n\na\n\n"),
        ([""], "\n"),
    ],
)
def test_lines_are_below_each_other_and_an_empty_one_is_a_line(
    samples: list[str], shown: str, write: Write
) -> None:
    assert write(TextWriter([], are_lines=True), texts(*samples)) == shown


def test_the_prompt_comes_before_each_of_its_samples(write: Write) -> None:
    prompts = ["one ", "two "]
    shown = write(TextWriter(prompts, are_lines=True), texts("a", "b", "c", "d"))
    assert shown == "one a\ntwo b\none c\ntwo d\n"
    assert write(TextWriter(["x"]), texts("a", "b")) == "xa\n\nxb\n"
    assert write(TextWriter(["x\n"]), texts("", "b")) == "x\n\nx\nb\n"


def test_the_prompt_comes_once_for_a_sample_of_several_chunks(write: Write) -> None:
    chunks = [Chunk(0, "a", 1), Chunk(0, "b", 2), Chunk(0, "", 2, (), "stop")]
    assert write(TextWriter(["x"]), chunks) == "xab\n"


def test_a_newline_at_the_end_of_the_last_full_chunk_is_enough(write: Write) -> None:
    chunks = [Chunk(0, "a\n", 2), Chunk(0, "", 2, (), "stop")]
    assert write(TextWriter([]), chunks) == "a\n"


def test_the_first_sample_grows_and_the_others_wait_for_their_turn(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    writer = TextWriter([], are_lines=True)
    seen = []
    for chunk in (
        Chunk(1, "b", 1),
        Chunk(0, "a", 1),
        whole(2, "c"),
        Chunk(0, "A", 2, (), "length"),
        Chunk(1, "B", 2),
        Chunk(1, "", 2, (), "end"),
    ):
        writer.take(chunk)
        writer.out.flush()
        seen.append(capfdbinary.readouterr().out.decode())
    assert seen == ["", "a", "", "A\nb", "B", "\nc\n"]


@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_order_in_which_samples_grow_does_not_show(
    data: st.DataObject, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.cli.output.MAX_DELAY", 1e9)
    samples = data.draw(st.lists(st.text(alphabet="ab\n", max_size=4), min_size=1, max_size=4))
    queues = [[Chunk(i, c, 1) for c in text] for i, text in enumerate(samples)]
    for index, queue in enumerate(queues):
        queue.append(Chunk(index, "", 1, (), "length"))
    mixed = []
    while any(queues):
        mixed.append(data.draw(st.sampled_from([queue for queue in queues if queue])).pop(0))
    assert write(TextWriter([]), mixed) == write(TextWriter([]), texts(*samples))
    own = [json.loads(line) for line in write(JsonWriter([""], LONG, LETTERS), mixed).splitlines()]
    assert [each["text"] for each in own] == samples
    assert [each["index"] for each in own] == list(range(len(samples)))


def test_json_has_the_fields_of_a_sample(write: Write) -> None:
    own = SamplingParams(length=9, seed=4, values={"temperature": 0.5, "top_k": 3})
    chunks = [Chunk(0, "é", 1), Chunk(0, "\n", 3, (), "stop"), whole(1, "", "end")]
    settings = {"temperature": 0.5, "top_k": 3, "length": 9}
    shown = write(JsonWriter(["x", "y"], own, LETTERS, settings), chunks)
    assert shown.count("\n") == 2
    assert "é" in shown
    first, second = map(json.loads, shown.splitlines())
    assert first == {
        "text": "é\n",
        "finish": "stop",
        "prompt": "x",
        "tokens": 3,
        "seed": 4,
        "index": 0,
        "settings": settings,
    }
    assert (second["prompt"], second["text"], second["finish"]) == ("y", "", "end")


def test_json_comes_when_a_sample_is_complete_and_in_order(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    writer = JsonWriter([""], LONG, LETTERS)
    seen = []
    for chunk in (Chunk(0, "a", 1), whole(1, "b"), whole(2, "c"), whole(0, "A"), whole(3, "d")):
        writer.take(chunk)
        lines = capfdbinary.readouterr().out.decode().splitlines()
        seen.append([json.loads(line)["text"] for line in lines])
    assert seen == [[], [], [], ["aA", "b", "c"], ["d"]]


def test_log_probabilities_come_with_the_texts_of_their_tokens(write: Write) -> None:
    a, b = LETTERS.encode("ab").tolist()
    tokens = (Token(a, -0.25, ((a, -0.25), (b, -1.5))), Token(b, -0.5, ((b, -0.5), (a, -1.0))))
    chunks = [Chunk(0, "a", 1, tokens[:1]), Chunk(0, "b", 2, tokens[1:], "length")]
    shown = write(JsonWriter([""], SamplingParams(logprobs=2), LETTERS), chunks)
    first, second = json.loads(shown)["logprobs"]
    assert first == {
        "token": "a",
        "id": a,
        "logprob": -0.25,
        "top": [
            {"token": "a", "id": a, "logprob": -0.25},
            {"token": "b", "id": b, "logprob": -1.5},
        ],
    }
    assert (second["token"], [each["id"] for each in second["top"]]) == ("b", [b, a])


def test_no_log_probabilities_unless_asked_for(write: Write) -> None:
    assert "logprobs" not in json.loads(write(JsonWriter([""], LONG, LETTERS), texts("a")))
    shown = write(JsonWriter([""], SamplingParams(logprobs=0), LETTERS), texts(""))
    assert json.loads(shown)["logprobs"] == []


def test_a_token_that_is_a_part_of_a_character_is_shown_as_broken(write: Write) -> None:
    chunk = Chunk(0, "é", 2, (Token(0xC3, -1.0), Token(0xA9, -1.0)), "length")
    shown = write(JsonWriter([""], SamplingParams(logprobs=0), BYTES), [chunk])
    tokens = json.loads(shown)["logprobs"]
    assert [each["token"] for each in tokens] == ["\ufffd", "\ufffd"]
    assert [each["id"] for each in tokens] == [0xC3, 0xA9]


def test_text_and_json_show_what_is_generated(write: Write) -> None:
    own = SamplingParams(length=12, seed=1, logprobs=1)
    model, start = noise(LETTERS.vocab_size), begin(LETTERS, "ab")
    chunks = list(generate(TinyTextModel(LETTERS, model), [start] * 3, own, range(3)))
    samples = [json.loads(x) for x in write(JsonWriter(["ab"], own, LETTERS), chunks).splitlines()]
    shown = write(TextWriter(["ab"]), chunks)
    bodies = ["ab" + sample["text"].removesuffix("\n") + "\n" for sample in samples]
    assert shown == "\n".join(bodies)
    for sample in samples:
        assert sample["text"] == "".join(each["token"] for each in sample["logprobs"])
        assert len(sample["logprobs"]) == sample["tokens"] == 12
        assert all(each["logprob"] <= each["top"][0]["logprob"] <= 0 for each in sample["logprobs"])
        assert all(math.isfinite(each["logprob"]) for each in sample["logprobs"])


def test_writers_write_to_an_output() -> None:
    assert isinstance(TextWriter([]).out, Output)
    assert isinstance(JsonWriter([""], LONG, LETTERS).out, Output)
