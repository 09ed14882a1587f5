"""A file of known words, and a prompt: only known words are written after it, by every tokenizer.

The input is the file, a NUL, and the prompt.
"""

from charrnn.inference.generation import SamplingParams, begin, generate
from charrnn.inference.known_words import BETWEEN, KnownWordsConstraint
from charrnn.inference.word_automaton import WordAutomaton, find_words, kind_of
from charrnn.tasks.language.words import file_words
from charrnn.tokenizers import TOKENIZERS
from tests.fuzz.harness import FOLDER
from tests.support.steppers import noise
from tests.support.tiny import TinyTextModel, tiny_tokenizer

PATH = FOLDER / "words.txt"

MODELS = [
    TinyTextModel(tokenizer, noise(tokenizer.vocab_size))
    for tokenizer in map(tiny_tokenizer, TOKENIZERS)
]


def seeds() -> list[bytes]:
    """Ordinary and unusual words, after ordinary and unusual prompts."""
    files = (
        "cat\nsat\nmill", "The miller's cat sat.", "a-b c''d e\u0301 \u00df \u4e2d\u6587 x\u200dy",
        "mill\r\nround\r\n", "\ufeffmark \u0489\u0301", "", "o'", "1 2 3 _",
    )  # fmt: skip
    prompts = ("", "The ca", "xq", "the mill-", "\u4e2d", "c\u0301", "\u200d")
    return [f"{file}\0{prompt}".encode() for file in files for prompt in prompts]


def read(data: bytes) -> None:
    """Read the file, and write a few tokens with each tokenizer."""
    raw, _, prompt = data.partition(b"\0")
    PATH.write_bytes(raw)
    automaton = WordAutomaton(file_words(str(PATH)))
    text = prompt.decode("utf-8", "replace")
    for model in MODELS:
        rule = KnownWordsConstraint(automaton, model.tokenizer)
        start, params = begin(model.tokenizer, text), SamplingParams(12, seed=1, whole=True)
        written = "".join(chunk.text for chunk in generate(model, [start], params, (0,), [rule]))
        # The first word may go on with the prompt's, and the last one may be cut.
        state = automaton.read(written)
        whole = written if automaton.can_end(state) else written[: -len(state.word)]
        between = (i for i, c in enumerate(whole) if kind_of(c) in BETWEEN)
        first = next(between, len(whole))
        unknown = [word for word in find_words(whole[first:]) if not automaton.is_word(word)]
        assert not unknown, (unknown, written)
