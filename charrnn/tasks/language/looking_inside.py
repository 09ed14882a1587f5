"""What the units of a language model follow in a text: `LanguageModel.neurons`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from charrnn.data.reading import Tally
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluation import neurons as evaluation
from charrnn.evaluation.activations import LIMIT
from charrnn.evaluation.neurons import Neurons
from charrnn.evaluation.scores import read_text
from charrnn.evaluation.text_features import compiled
from charrnn.tasks.language.blend import EngineModel
from charrnn.tasks.language.conditions import labels_of
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tokenizers.base import Ids


def neurons(
    model: LanguageModel,
    *,
    text: str | None = None,
    file: str | Path | None = None,
    split: str = "valid",
    encoding: str | None = None,
    errors: str = "strict",
    features: Mapping[str, str] | None = None,
    limit: int = LIMIT,
    guesses: bool = False,
    on_note: Callable[[str], None] | None = None,
) -> Neurons:
    """A model, and a text, a file, or a split of its corpus -> what each unit follows in it.

    features: regular expressions by name, besides those of `evaluation.text_features`. limit:
    tokens that are read, in evenly spread pieces of a longer text. guesses: also what the model
    expected at each place. on_note: called with remarks on how a file was read. UsageError for a
    model of several, CorpusError for a text that is too short or not there.

    For a run of stories `charrnn.load("fables").neurons().found[0].feature` may be 'inside quotes'.
    """
    if isinstance(model, EngineModel):
        raise UsageError(
            f"{model!r} is not a single network",
            "look into one model: charrnn.load(NAME).neurons()",
        )
    own = dict(features or {})
    for name, pattern in own.items():
        compiled(name, pattern)
    tokens = _tokens(model, text, file, split, encoding, errors, on_note)
    return evaluation.neurons(
        model.checkpoint, model.engine, tokens, own, tuple(labels_of(model)), limit, guesses,
        model.threads,
    )  # fmt: skip


def _tokens(
    model: LanguageModel,
    text: str | None,
    file: str | Path | None,
    split: str,
    encoding: str | None,
    errors: str,
    on_note: Callable[[str], None] | None,
) -> Ids:
    """The tokens of a text, of a file read as the training text was, or of a split."""
    if text is not None:
        return model.tokenizer.encode(text)
    if file is None:
        corpus = model.corpus_or_error("give a text: --text FILE")
        if not corpus.size(split):
            raise CorpusError(
                f"there is no {split} part next to {model.path}", "give a text: --text FILE"
            )
        return corpus.splits[split].load()
    reading, tally = model.reading(encoding, errors), Tally()
    tokens, _, _ = read_text(Path(file), model.tokenizer, reading, tally)
    if on_note is not None:
        for note in tally.notes(reading):
            on_note(note)
    return tokens
