"""The section of a page in which a text is coloured by a unit, or by what each character cost."""

from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.cli.pages.page import Section, escaped, packed
from charrnn.cli.terminal import visible
from charrnn.tokenizers.documents import END

if TYPE_CHECKING:
    from charrnn.evaluation.neurons import Found, Neurons
    from charrnn.tokenizers import Tokenizer

UNITS = 16
"""Findings whose unit is in a page: each takes a byte and a third for every token."""

PER_BIT = 8
"""Surprise is kept in eighths of a bit, up to 31.9 bits."""


def neurons_section(found: "Neurons", tokenizer: "Tokenizer", most: int = UNITS) -> Section:
    """Findings of a text that was read with its guesses -> a section."""
    shown = found.found[:most]
    rows = [_row(-1, "surprise", "what each character cost, in bits", ("",) * 4, not shown)]
    for number, each in enumerate(shown):
        figures = (each.bits, each.entropy, each.shuffled, each.chance)
        name = each.feature if each.learned else f"{each.feature} (not learned)"
        rows.append(
            _row(number, str(each.unit), name, tuple(f"{f:.3f}" for f in figures), number == 0)
        )
    head = "".join(
        f'<th scope="col" title="{title}"{" class=n" if number > 1 else ""}>{name}</th>'
        for number, (name, title) in enumerate(COLUMNS)
    )
    reading = found.reading
    part = "" if reading.is_whole else f" of {reading.total:,}, in evenly spread pieces"
    body = (
        f"<p>{len(reading.tokens):,} tokens{part}. Choose a unit to colour the text by its "
        "activation; point at a character, or move through the text with the arrow keys, for its "
        "surprise and the five guesses of the model. A unit is chosen on one half of the text and "
        "measured on the other.</p>\n"
        "<div class=looking>\n<div class=side>\n"
        f'<div class="scroll choices"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
        f"{''.join(rows)}</tbody></table></div>\n"
        "<div class=scale id=scale><span>−1</span><i></i><span>+1</span></div>\n</div>\n"
        '<div class=text id=text tabindex=0 role=group aria-label="The text. Arrow keys move from '
        'character to character, Escape hides the guesses." aria-describedby=tip></div>\n</div>\n'
        "<div class=tip id=tip role=status aria-live=polite hidden></div>\n"
        "<noscript><p>The text is shown by a script of this page.</p></noscript>"
    )
    data = neurons_data(found, tokenizer, shown)
    return Section(
        "neurons", "What single units follow", body, ("neurons.js",), (("neurons-data", data),)
    )


COLUMNS = (
    ("unit", "layer and unit, both counted from 1"),
    ("follows", "the feature of the text that it says most about"),
    ("bits", "mutual information of the unit and the feature"),
    ("of", "the entropy of the feature: all that there is to say"),
    ("shuffled", "the best unit of the same network with its weights in random order"),
    ("chance", "the most bits with the feature moved along the text"),
)
"""Names of the columns, and what they mean."""


def _row(number: int, unit: str, name: str, figures: tuple[str, ...], checked: bool) -> str:
    mark = " checked" if checked else ""
    cells = "".join(f"<td class=n>{figure}</td>" for figure in figures)
    return (
        f'<tr><td><label><input type=radio name=unit value="{number}"{mark}>{escaped(unit)}</label>'
        f"</td><td>{escaped(name)}</td>{cells}</tr>\n"
    )


def neurons_data(
    found: "Neurons", tokenizer: "Tokenizer", shown: "tuple[Found, ...]"
) -> dict[str, Any]:
    """What the script of the section reads: the text, and arrays of bytes as base64."""
    reading = found.reading
    pieces = _pieces(reading.text, reading.ends.tolist())
    lengths = np.array([len(piece.encode("utf-16-le")) // 2 for piece in pieces], np.uint16)
    used, ids = np.unique(reading.guesses, return_inverse=True)
    own = reading.guesses == reading.tokens[:, None]
    ranks = np.where(own.any(1), own.argmax(1), 255).astype(np.uint8)
    size = 1 if len(used) <= 2**8 else 2 if len(used) <= 2**16 else 4
    bits = np.clip(np.round(reading.surprise * PER_BIT), 0, 255).astype(np.uint8)
    return {
        "text": "".join(pieces),
        "lengths": "" if (lengths == 1).all() else packed(lengths),
        "units": [
            {"unit": str(each.unit), "values": packed(_byte(found.activation(each.unit)))}
            for each in shown
        ],
        "surprise": packed(bits),
        "guesses": packed(ids.astype(f"u{size}")),
        "idBytes": size,
        "shares": packed(np.round(reading.probabilities * 255).astype(np.uint8)),
        "ranks": packed(ranks),
        "most": int(reading.guesses.shape[1]),
        "vocabulary": [_shown(tokenizer, int(i)) for i in used],
    }


def _byte(values: Any) -> Any:
    return np.round(np.clip(values, -1, 1) * 127).astype(np.int8)


def _pieces(text: str, ends: list[int]) -> list[str]:
    """The text of each token, its control characters visible."""
    pieces, begin, before = [], 0, ""
    for end in ends:
        piece = visible(text[begin:end], before=before)
        pieces.append(piece)
        begin, before = end, text[end - 1 : end]
    return pieces


def _shown(tokenizer: "Tokenizer", token: int) -> str:
    """What an id is called among the guesses."""
    return visible(tokenizer.decode([token])).replace(END, "\n")
