"""Write shop.txt: conversations at the counter of a village shop, lines of `Name: text`.

Run `python corpora/make_shop.py > corpora/shop.txt` to make the shipped file again. Guests ask for
a thing, its price or the hours; Ida answers, names the thing again, and adds up: a model has to
remember what was said. The order of the draws, and so every line, depends on SEED alone.
"""

import random
import sys

SEED = 23

CONVERSATIONS = 700

PRICES = {
    "bread": 3, "butter": 4, "cheese": 6, "eggs": 2, "milk": 1, "apples": 3, "honey": 7, "salt": 1,
    "tea": 5, "coffee": 8, "candles": 2, "soap": 2, "string": 1, "nails": 3, "paper": 2, "seeds": 4,
    "rope": 9, "a broom": 6, "a lamp": 12, "a kettle": 15, "a basket": 8, "a hat": 11,
}  # fmt: skip
"""What is sold, and for how many coins."""

MISSING = ("lemons", "rice", "clocks", "boots", "bells", "grapes", "ink", "saws")

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")

HELLO = ("Good morning.", "Hello, Ida.", "Good day to you.", "Hello.", "Morning, Ida.")

WELCOME = ("Good morning. What will it be?", "Hello. What can I do for you?", "Good day. Yes?")

THANKS = ("Thank you, Ida.", "Thanks.", "Many thanks.", "That is kind of you.")

GOODBYE = ("Goodbye, and mind the step.", "You are welcome.", "Until next time.", "Go well.")


def coins(count: int) -> str:
    """A number -> its coins in words.

    >>> coins(1), coins(12)
    ('one coin', '12 coins')
    """
    return "one coin" if count == 1 else f"{count} coins"


def price(rng: random.Random) -> list[str]:
    """A question for a price, and perhaps a sale."""
    thing = rng.choice(list(PRICES))
    cost = PRICES[thing]
    turns = [
        rng.choice((f"How much for {thing}?", f"What does it cost, {thing}?")),
        rng.choice((f"{coins(cost).capitalize()} for {thing}.", f"For {thing}, {coins(cost)}.")),
    ]
    if rng.random() < 0.3:
        return [
            *turns, rng.choice(("That is too much for me.", "I will think about it.")),
            rng.choice((f"I can put {thing} aside for you.", "As you like. It will be here.")),
        ]  # fmt: skip
    return [*turns, "I will take it.", f"Here you are. That makes {coins(cost)}."]


def buy(rng: random.Random) -> list[str]:
    """Two things, and their sum."""
    first, second = rng.sample(list(PRICES), 2)
    total = PRICES[first] + PRICES[second]
    return [
        rng.choice((f"I need {first} and {second}.", f"Please give me {first} and {second}.")),
        f"{first.capitalize()} and {second}. That makes {coins(total)}.",
    ]


def missing(rng: random.Random) -> list[str]:
    """Something that there is not, until a day."""
    thing, day = rng.choice(MISSING), rng.choice(DAYS)
    return [
        rng.choice((f"Do you have {thing}?", f"I am looking for {thing}.")),
        f"No, I am out of {thing}. Come back on {day}.",
        rng.choice((f"On {day}, then.", f"I will come on {day}.")),
        f"I will keep {thing} for you.",
    ]


def hours(rng: random.Random) -> list[str]:
    """When the shop is open."""
    day = rng.choice(DAYS)
    until = "noon" if day == "Saturday" else "six"
    return [f"Are you open on {day}?", f"On {day} I am open until {until}."]


def conversation(rng: random.Random) -> list[str]:
    """Turns of the guest and of Ida, by turns."""
    turns = [rng.choice(HELLO), rng.choice(WELCOME)] if rng.random() < 0.8 else []
    for part in rng.sample((price, buy, missing, hours), rng.choice((1, 1, 2))):
        turns += part(rng)
    return [*turns, rng.choice(THANKS), rng.choice(GOODBYE)]


def main() -> None:
    """Write the conversations to stdout."""
    rng = random.Random(SEED)
    written = []
    for _ in range(CONVERSATIONS):
        turns = conversation(rng)
        names = ("Guest", "Ida")
        written.append("".join(f"{names[i % 2]}: {text}\n" for i, text in enumerate(turns)))
    sys.stdout.write("\n".join(written))


if __name__ == "__main__":
    main()
