"""A regular expression -> how long it is once its repetitions are written out. It matches nothing.

The library writes `(ab){1000000}` out as it compiles it, which took 680 MB and two seconds; a
pattern of twelve characters could take any memory and any time.
"""

import re

TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*(?:\]|\Z)"  # an escape, a set
    r"|\{\s*(?P<least>\d+)\s*(?:,\s*\d*\s*)?\}"  # a repetition
    r"|(?P<nothing>\(\?#[^)]*\)|\(\?[a-zA-Z0-9-]+\)|\s)"  # what a repetition may look past
    r"|.",
    re.DOTALL,
)

ENDLESS = 10**12
"""What is longer is taken for this."""


def written_out(pattern: str) -> int:
    """The characters, sets and escapes of a pattern, with n copies for `{n}` and `{n,m}`.

    It may say more than there are: a blank counts though it can stand for nothing.
    """
    lengths, last = [0], 0  # of each open group so far, and of what a repetition would repeat
    for found in TOKEN.finditer(pattern):
        if found["least"] and last:
            count = int(found["least"]) if len(found["least"]) < 13 else ENDLESS
            lengths[-1] = min(ENDLESS, lengths[-1] + last * max(0, count - 1))
            last = min(ENDLESS, last * max(1, count))
        elif found["nothing"]:
            lengths[-1] += 1
            last = last or 1
        elif found[0] == "(":
            lengths.append(0)
        elif found[0] == ")" and len(lengths) > 1:
            last = lengths.pop()
            lengths[-1] = min(ENDLESS, lengths[-1] + last)
        else:
            lengths[-1] += 1
            last = 1
    return min(ENDLESS, sum(lengths))
