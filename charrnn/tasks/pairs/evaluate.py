"""Translations of a split -> its score; the scores of the baselines."""

from collections.abc import Sequence

import numpy as np

from charrnn.activity import track
from charrnn.tasks.pairs.dataset import Pairs
from charrnn.tasks.pairs.encoder import PairEncoder
from charrnn.tasks.pairs.metrics import PairsScore, failures, score
from charrnn.tasks.pairs.reading import Pair
from charrnn.tasks.pairs.search import Decoder, Hypothesis, Ids, rows_at_once, search


def translate(
    decoder: Decoder, encoder: PairEncoder, texts: Sequence[str], width: int = 1
) -> list[tuple[Ids, list[str], list[Hypothesis]]]:
    """Texts -> the ids of each, what is copied of it, and its hypotheses, the best first."""
    read = [encoder.encode_source(text) for text in texts]
    sources = [ids for ids, _, _ in read]
    longest = [encoder.longest(len(ids)) for ids in sources]
    found: list[list[Hypothesis]] = [[] for _ in texts]
    batches = rows_at_once(sources, longest, width)
    for batch in track(batches, "translating", len(texts), size=len):
        results = search(
            decoder,
            [sources[number] for number in batch],
            [longest[number] for number in batch],
            width,
            encoder.target.end_id,
            [banned(encoder, read[number][1]) for number in batch],
        )
        for number, result in zip(batch, results, strict=True):
            found[number] = result
    return [(ids, copied, each) for (ids, copied, _), each in zip(read, found, strict=True)]


def banned(encoder: PairEncoder, copied: Sequence[str]) -> list[int]:
    """The ids that a target of a source cannot have: COPY where there is nothing to copy."""
    own = encoder.target.tokenizer.never_sampled
    end = encoder.target.end_id
    out = [i for i in own if i != end]
    return out if copied else [*out, encoder.target.copy_id]


def text_of(encoder: PairEncoder, ids: Ids, copied: Sequence[str], found: Hypothesis) -> str:
    """A hypothesis -> its text. Each COPY is what the attention is at, of what can be copied."""
    places = np.flatnonzero(ids == encoder.source.copy_id)
    texts = []
    for i, attention in zip(found.ids, found.attention, strict=True):
        if i == encoder.target.copy_id:
            texts.append(copied[int(attention[places].argmax())] if len(places) else "")
    # A line is a target; a model may write what would end it.
    return encoder.target.decode(found.ids, texts).replace("\n", " ").replace("\r", " ")


def pairs_of(dataset: Pairs, split: str, limit: int = 0) -> list[Pair]:
    """The pairs of a split, or so many of them as have about `limit` tokens, evenly spread."""
    part = dataset.splits[split]
    if not 0 < limit < part.tokens:
        return part.pairs
    count = max(1, limit * part.count // part.tokens)
    return [part.pairs[row * part.count // count] for row in range(count)]


def evaluate(
    decoder: Decoder,
    encoder: PairEncoder,
    pairs: Sequence[Pair],
    width: int = 1,
    quality: bool = False,
) -> PairsScore:
    """Pairs -> how near the model's outputs are to their targets."""
    found = translate(decoder, encoder, [pair.source for pair in pairs], width)
    outputs = [text_of(encoder, ids, copied, each[0]) for ids, copied, each in found]
    references = [pair.target for pair in pairs]
    unknown = [
        2 * each[0].ids.count(encoder.target.copy_id) > len(each[0].ids) > 0 for _, _, each in found
    ]
    result = score(outputs, references, quality)
    result.issues.update(failures(outputs, references, unknown))
    return result


def baselines(
    dataset: Pairs, pairs: Sequence[Pair], quality: bool = False
) -> dict[str, PairsScore]:
    """The scores of the source itself, and of the most frequent target of the training part."""
    references = [pair.target for pair in pairs]
    frequent = [dataset.most_frequent] * len(pairs)
    return {
        "copy": score([pair.source for pair in pairs], references, quality),
        "most frequent": score(frequent, references, quality),
    }
