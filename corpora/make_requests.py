"""Write requests.tsv: what travellers write to a railway, a tab, and what they want.

Run `python corpora/make_requests.py > corpora/requests.tsv` to make the shipped file again. There
are seven labels. The words of a message do not give its label, because most messages name two
things and want one of them: "the fare to Millham is settled, it is my umbrella that I write about".
A model has to find out which. Some words are mistyped, and a few labels are wrong, as in what
people label by hand. The order of the draws, and so every line, depends on SEED alone.
"""

import random
import sys

SEED = 21

MESSAGES = 4_000

WRONG, MISTYPED = 0.02, 0.03
"""Part of the labels that are wrong, and of the words that are mistyped."""

PLACES = (
    "Alder Bridge", "Millham", "the harbour", "Upper Wick", "Stonegate", "Fenway", "Kelder",
    "Oakley", "the old market", "Brandoch", "Seaford Halt", "Tern Island",
)  # fmt: skip

THINGS = (
    "umbrella", "green suitcase", "violin", "red scarf", "bag", "phone", "left glove", "hat",
    "book", "pair of glasses", "bicycle helmet", "key ring",
)  # fmt: skip

TIMES = ("tonight", "tomorrow morning", "on Sunday", "at noon", "before eight", "next Friday")

TOPICS: dict[str, tuple[str, ...]] = {
    "time": (
        "the train to {place} {time}", "the hour at which we get to {place}",
        "the last train to {place}", "the times {time}",
    ),
    "price": (
        "the fare to {place} and back", "what a ticket to {place} costs",
        "the price of a trip {time}", "what I pay for my {thing}",
    ),
    "lost": (
        "the {thing} that I left at {place}", "a {thing} that is gone", "my {thing}",
        "what was found on the train to {place}",
    ),
    "refund": (
        "my money back for the trip to {place}", "the ticket that I hand back",
        "the taxi that I had to take to {place}", "what you owe me for {time}",
    ),
    "booking": (
        "a seat to {place} {time}", "two places by the window", "a compartment for six {time}",
        "room for my {thing} on the way to {place}",
    ),
    "complaint": (
        "the filthy carriage to {place}", "the rude guard at {place}", "the cold {time}",
        "how we stood still at {place} and nobody told us why",
    ),
    "praise": (
        "the kind woman at {place}", "the driver who waited at {place}",
        "the lovely ride to {place}", "how well you looked after my {thing}",
    ),
}  # fmt: skip
"""Label -> what a message is about."""

FRAMES = (
    "it is {wanted} that I write about, not {other}", "{other} can wait, but not {wanted}",
    "{other} is settled, so now to {wanted}", "never mind {other}: this is about {wanted}",
    "this is about {wanted}; never mind {other}", "I asked for {wanted} and you told me of {other}",
    "you told me of {other} when I asked for {wanted}", "after {other} comes {wanted}, please",
    "before {other}, please see to {wanted}", "not {other} again, but {wanted}",
    "I write about {wanted} and my brother about {other}", "{wanted}, please; I have {other}",
    "my brother writes about {other} and I about {wanted}", "I have {other}; {wanted}, please",
)  # fmt: skip
"""What wants one thing and names another: often the same words in another order."""

ALONE = ("I write about {wanted}", "{wanted}, please", "can you help me with {wanted}")


def filled(template: str, draws: random.Random) -> str:
    """A template -> a sentence, with places, things and times drawn."""
    return template.format(
        place=draws.choice(PLACES), thing=draws.choice(THINGS), time=draws.choice(TIMES)
    )


def mistyped(word: str, draws: random.Random) -> str:
    """A word -> the word with two letters in each other's place.

    >>> mistyped("ticket", random.Random(1))
    'tikcet'
    """
    if len(word) < 4:
        return word
    place = draws.randrange(1, len(word) - 2)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def message(label: str, draws: random.Random) -> str:
    """A label -> what someone writes."""
    wanted = filled(draws.choice(TOPICS[label]), draws)
    if draws.random() < 0.8:
        others = [name for name in TOPICS if name != label]
        other = filled(draws.choice(TOPICS[draws.choice(others)]), draws)
        text = draws.choice(FRAMES).format(wanted=wanted, other=other)
    else:
        text = draws.choice(ALONE).format(wanted=wanted)
    words = [mistyped(w, draws) if draws.random() < MISTYPED else w for w in text.split(" ")]
    text = " ".join(words)
    return text.lower() if draws.random() < 0.3 else text


def messages(count: int = MESSAGES, seed: int = SEED) -> list[tuple[str, str]]:
    """Distinct messages and their labels, some of which are rarer than others."""
    draws = random.Random(seed)
    names = list(TOPICS)
    weights = (6, 5, 4, 3, 4, 3, 2)
    found: dict[str, str] = {}
    while len(found) < count:
        (label,) = draws.choices(names, weights)
        text = message(label, draws)
        found.setdefault(text, draws.choice(names) if draws.random() < WRONG else label)
    return list(found.items())


if __name__ == "__main__":
    for text, label in messages():
        sys.stdout.write(f"{text}\t{label}\n")
