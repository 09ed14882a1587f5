"""Lines of `Name: text`, with a blank line between conversations.

A line without a name goes on with the turn before it; so does a line that begins with a blank.
"""

import itertools
import re
from collections.abc import Iterator

from charrnn.data.chats.turns import NAME_LENGTH, TURNS, ChatTally, Message

TURN = re.compile(rf"(?P<name>[^\s:][^:\n]{{0,{NAME_LENGTH - 1}}}):(?:[ \t]+(?P<text>.*)|\Z)")

LEAST_LINES = 12
"""Lines below which nothing is said of a form."""

MOST_NAMES = 8
"""Different names in the beginning of a log above which it may be something else."""


def messages(lines: Iterator[str], tally: ChatTally) -> Iterator[Message | None]:
    """Lines without their ends -> messages, and None for a blank line."""
    name, parts = "", list[str]()
    for line in lines:
        found = TURN.match(line.lstrip("\ufeff"))
        if found or not line.strip():
            if name:
                yield Message(name, "\n".join(parts))
            name, parts = "", []
            if not found:
                yield None
                continue
            name, parts = found["name"], [found["text"] or ""]
        elif name:
            parts.append(line)
        else:
            tally.left_out["lines before the first turn"] += 1
    if name:
        yield Message(name, "\n".join(parts))


def is_plain(lines: list[str]) -> bool:
    """Whether the first lines of a file leave no doubt that they are turns.

    A record, such as `Title: ...` and `Author: ...`, has each of its names once in a block; in a
    conversation the same few people speak again and again.
    """
    written = [line for line in lines if line.strip()]
    names = [found["name"] for line in written if (found := TURN.match(line)) and found["text"]]
    few = 2 <= len(set(names)) <= MOST_NAMES
    if len(written) < LEAST_LINES or len(names) < len(written) or not few:
        return False
    blocks, again = 0, 0
    split = "\n".join(lines).strip("\n").split("\n\n")
    # Of one conversation none could be held out, so it is better read as any other text.
    if len(split) < 3 and len(written) <= 3 * TURNS:
        return False
    for block in split:
        said = [line.partition(":")[0] for line in block.split("\n") if line]
        blocks += len(said) > 2
        again += len(said) > 2 and len(set(said)) < len(said)
    # Two turns in a row by one person are rare where each line is a turn.
    changes = sum(one != other for one, other in itertools.pairwise(names))
    return blocks > 0 and again >= 0.8 * blocks and changes >= 0.5 * len(names)
