"""What `charrnn score` prints: the whole text's figures, its lines ranked, or its colours."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.cli import ui
from charrnn.cli.output import Output
from charrnn.corpus import Corpus
from charrnn.engine import Engine
from charrnn.scoring import Score, log_probabilities
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer.base import Decoder, Ids
from charrnn.yardsticks import yardsticks as measure


class Judged:
    """A text's tokens with their log-probabilities in nats."""

    def __init__(self, tokenizer: Tokenizer, tokens: Ids, logprobs: NDArray[np.float64]) -> None:
        self.tokenizer, self.tokens, self.logprobs = tokenizer, tokens, logprobs


def judge(tokenizer: Tokenizer, engine: Engine, text: str) -> Judged:
    """Let the model read a text."""
    tokens = tokenizer.encode(text)
    blocks = list(log_probabilities(engine, tokens, tokenizer.newline_id))
    return Judged(tokenizer, tokens, np.concatenate(blocks))


def figures(judged: Judged, text: str) -> dict[str, Any]:
    """The fields of `score --json`."""
    score = Score(-float(judged.logprobs.sum()), len(judged.tokens), len(text))
    return {"log_likelihood": -score.nats} | score.to_json()


def whole(
    judged: Judged, text: str, corpus: Corpus | None, yardsticks: bool, as_json: bool
) -> None:
    """The figures of the whole text, beside what they can be held against."""
    found = figures(judged, text)
    others = dict(measure(corpus, judged.tokens, text)) if yardsticks else {}
    out = Output()
    if as_json:
        out.json(found | ({"yardsticks": others} if yardsticks else {}))
        return
    out.write(
        f"{found['bits_per_char']:.4f} bits/char, perplexity {found['perplexity']:.4g}, "
        f"log-likelihood {found['log_likelihood']:,.1f} nats, {found['tokens']:,} tokens "
        f"({found['characters']:,} characters)\n"
    )
    for name, bits in others.items():
        out.write(f"{bits:.4f} bits/char by {name}\n")
    out.flush()


def lines(tokenizer: Tokenizer, engine: Engine, text: str, as_json: bool) -> None:
    """Each line judged by itself, the most surprising first."""
    found: list[dict[str, Any]] = []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        judged = judge(tokenizer, engine, line + "\n")
        found.append({"line": number, "text": line} | figures(judged, line + "\n"))
    out = Output()
    for each in sorted(found, key=lambda item: (-item["bits_per_char"], item["line"])):
        if as_json:
            out.json(each)
        else:
            out.write(f"{each['bits_per_char']:8.4f}  {each['text']}\n")
    out.flush()


def paint(judged: Judged) -> None:
    """The text, each piece on a ground from dark (foreseen) to red (a surprise of 10 bits)."""
    decoder, bits, out = Decoder(judged.tokenizer), 0.0, Output(escapes=False)
    for token, logprob in zip(judged.tokens.tolist(), judged.logprobs.tolist(), strict=True):
        bits -= logprob / math.log(2)
        piece = decoder.push(token)
        if piece:
            out.write(ui.shaded(piece, bits / 10))
            bits = 0.0
    out.write("\n")
    out.flush()
