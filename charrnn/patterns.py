"""A regular expression -> how long it is once its repetitions are written out. It matches nothing.

The library writes `(ab){1000000}` out as it compiles it, which took 680 MB and two seconds; a
pattern of twelve characters could take any memory and any time.
"""

import re

TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<least>\d+)(?:,\d*)?\}|.", re.DOTALL)
"""An escape, a set, a repetition, or a character."""

ENDLESS = 10**12
"""What a longer number is taken for."""


def written_out(pattern: str) -> int:
    """The characters, sets and escapes of a pattern, with n copies for `{n}` and `{n,m}`."""
    lengths, last = [0], 0  # of each open group so far, and of what a repetition would repeat
    for found in TOKEN.finditer(pattern):
        if found["least"] and last:
            count = int(found["least"]) if len(found["least"]) < 13 else ENDLESS
            lengths[-1] += last * max(0, count - 1)
            last *= max(1, count)
        elif found[0] == "(":
            lengths.append(0)
        elif found[0] == ")" and len(lengths) > 1:
            last = lengths.pop()
            lengths[-1] += last
        else:
            lengths[-1] += 1
            last = 1
    return sum(lengths)
