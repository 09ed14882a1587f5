"""Models of two public sets of dialogues: perplexity of replies, replies as drawn, ranking.

    python benchmarks/chat.py FOLDER [--set everyday|dailydialog] [--minutes 3 | --steps N] [--mix]

FOLDER holds everyday.txt (conversations of `User:` and `Bot:` lines, a blank line between them) and
dailydialog-{train,validation,test}.txt.xz (Li et al. 2017: a dialogue a line, turns parted by
__eou__). A model is trained with --chat and one on the same text without it. Prints, of held-out
dialogues:

* the perplexity per character of replies: of both models, and of an n-gram model of order 5;
* of replies to what was said in them, with and without --relevance, how many end by themselves,
  have a line that begins with a speaker's name, and take up a longer word of what was said;
* how often the true next turn is the first of ten (the others are turns of other dialogues), by
  log p(reply | said) - r log p(reply) with r chosen on other dialogues, beside TF-IDF.
"""

import argparse
import collections
import lzma
import math
import random
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import charrnn
from charrnn.data.chats.turns import LINE_BREAK, clean_text, turn_line
from charrnn.inference.sampling import log_softmax
from charrnn.tasks.language.baselines import NGram

Dialogue = list[tuple[str, str]]
"""Names and texts of turns."""

CANDIDATES = 10

WEIGHTS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)


def everyday(folder: Path) -> dict[str, list[Dialogue]]:
    """Conversations by part; the file has no parts, so every tenth is held out."""
    text = (folder / "everyday.txt").read_text(encoding="utf-8")
    found = []
    for block in text.strip().split("\n\n"):
        turns = [line.partition(": ")[::2] for line in block.split("\n")]
        found.append([(name, clean_text(said)) for name, said in turns if clean_text(said)])
    # Equal dialogues in both parts would be known by heart.
    distinct = list({str(each): each for each in found}.values())
    parts: dict[str, list[Dialogue]] = {"train": [], "validation": [], "test": []}
    for number, each in enumerate(distinct):
        name = {0: "test", 1: "validation"}.get(number % 10, "train")
        parts[name].append(each)
    return parts


def dailydialog(folder: Path) -> dict[str, list[Dialogue]]:
    """Conversations by part, without those of later parts that an earlier one has."""
    parts: dict[str, list[Dialogue]] = {}
    seen: set[str] = set()
    for name in ("train", "validation", "test"):
        text = lzma.decompress((folder / f"dailydialog-{name}.txt.xz").read_bytes()).decode()
        parts[name] = []
        for line in text.splitlines():
            turns = [clean_text(each) for each in line.split("__eou__")]
            dialogue = [("AB"[i % 2], said) for i, said in enumerate(filter(None, turns))]
            if len(dialogue) > 1 and line not in seen:
                parts[name].append(dialogue)
            seen.add(line)
    return parts


def written(dialogue: Dialogue) -> str:
    """A dialogue in the strict form."""
    return "".join(turn_line(name, said) for name, said in dialogue)


def train(
    parts: dict[str, list[Dialogue]], folder: Path, budget: dict[str, Any], chat: bool
) -> Any:
    """The model of the training part, validated on the validation part."""
    files = {}
    for name in ("train", "validation"):
        files[name] = folder / f"{name}.txt"
        files[name].write_text("\n".join(map(written, parts[name])), encoding="utf-8")
    run = charrnn.train(
        files["train"], valid=[str(files["validation"])], name="chat" if chat else "text",
        runs_dir=folder, chat=chat, threads=1, seed=1, **budget,
    )  # fmt: skip
    return charrnn.load(run, threads=1)


def logprobs(model: Any, text: str) -> NDArray[np.float64]:
    """A text -> the log-probability of each of its characters, from the beginning of a text."""
    ids = model.tokenizer.encode(text).astype(np.int64)
    before = np.concatenate([[model.tokenizer.start_id], ids[:-1]]).astype(np.int64)
    logits, _ = model.engine.read(before[:, None], model.engine.zero_state(1))
    return np.asarray(log_softmax(logits[:, 0])[np.arange(len(ids)), ids])


def reply_mask(dialogue: Dialogue) -> NDArray[np.bool_]:
    """Which characters of a dialogue are of replies: all turns but the first, names left out."""
    parts = []
    for number, (name, said) in enumerate(dialogue):
        opening = len(name) + 2
        parts += [np.zeros(opening, bool), np.full(len(said) + 1, number > 0)]
    return np.concatenate(parts)


def perplexities(
    models: dict[str, Any], train: list[Dialogue], test: list[Dialogue]
) -> dict[str, float]:
    """Name -> perplexity per character of the replies of the dialogues."""
    tokenizer = models["chat"].tokenizer
    size = tokenizer.vocab_size
    counted = tokenizer.encode("\n".join(map(written, train)))
    ngram = NGram(counted, size, order=5)
    nats = collections.defaultdict[str, float](float)
    characters = 0
    for dialogue in test:
        mask = reply_mask(dialogue)
        characters += int(mask.sum())
        for name, model in models.items():
            nats[name] -= float(logprobs(model, written(dialogue))[mask].sum())
        p = ngram.probabilities(tokenizer.encode("\n" + written(dialogue)))[1:]
        nats["5-gram"] -= float(np.log(p[mask]).sum())
    return {name: math.exp(total / characters) for name, total in nats.items()}


def draw_replies(
    model: Any, test: list[Dialogue], count: int, relevance: float = 0.0
) -> tuple[int, int, int, int]:
    """Replies to turns -> how many, ended by themselves, naming a speaker, taking a word up."""
    chat = model.chat(seed=1, temperature=0.8, max_length=500, relevance=relevance)
    drawn, ended, named = 0, 0, 0
    taken_up = 0
    prompts = ((d, i) for d in test for i in range(0, len(d) - 1, 2))
    last = None
    for dialogue, place in prompts:
        if drawn == count:
            break
        if dialogue is not last:
            chat.reset()
            last = dialogue
        reply = chat.reply(dialogue[place][1])
        drawn += 1
        said = {word for word in dialogue[place][1].lower().split() if len(word) > 4}
        taken_up += bool(said & set(reply.lower().split()))
        ended += chat.exchanges[-1].finish == "stop"
        lines = reply.split(LINE_BREAK)
        named += any(line.strip().startswith(f"{n}:") for line in lines for n in chat.speakers)
    return drawn, ended, named, taken_up


def questions(
    dialogues: list[Dialogue], count: int, seed: int
) -> Iterator[tuple[Dialogue, list[str]]]:
    """What was said and ten next turns, of which the first is the true one."""
    chosen = random.Random(seed)
    turns = [said for dialogue in dialogues for _, said in dialogue]
    for dialogue in chosen.sample(dialogues, min(count, len(dialogues))):
        place = chosen.randrange(1, len(dialogue))
        others = chosen.sample(turns, CANDIDATES - 1)
        yield dialogue[: place + 1], [dialogue[place][1], *others]


def scores(model: Any, said: Dialogue, name: str, candidates: list[str]) -> NDArray[np.float64]:
    """Texts of a next turn (N,) -> their log-probability, after what was said or nothing (N,)."""
    tokenizer, engine = model.tokenizer, model.engine
    opening = tokenizer.encode(written(said) + f"{name}: ").astype(np.int64)
    before = np.concatenate([[tokenizer.start_id], opening]).astype(np.int64)
    logits, state = engine.read_prompt(before[:, None], engine.zero_state(1))
    ids = [tokenizer.encode(f"{text}\n").astype(np.int64) for text in candidates]
    padded = np.full((max(map(len, ids)), len(ids)), tokenizer.newline_id, np.int64)
    for row, each in enumerate(ids):
        padded[: len(each), row] = each
    state = [np.repeat(part, len(ids), axis=0) for part in state]
    read, _ = engine.read(padded[:-1], state)
    known = log_softmax(
        np.concatenate([np.repeat(logits, len(ids), 0)[None], read]).reshape(-1, logits.shape[1])
    )
    each = known[np.arange(padded.size), padded.reshape(-1)].reshape(padded.shape)
    lengths = np.array([len(row) for row in ids])
    mask = np.arange(len(padded))[:, None] < lengths
    return np.asarray((each * mask).sum(0))


def rank(model: Any, asked: Iterable[tuple[Dialogue, list[str]]]) -> NDArray[np.bool_]:
    """Questions (Q,) -> whether the true turn is the first, for each of WEIGHTS (Q, W)."""
    found = []
    for dialogue, candidates in asked:
        *said, (name, _) = dialogue
        after, alone = scores(model, said, name, candidates), scores(model, [], name, candidates)
        found.append([int(np.argmax(after - r * alone)) == 0 for r in WEIGHTS])
    return np.array(found)


def tf_idf(train: list[Dialogue], asked: Iterable[tuple[Dialogue, list[str]]], turns: int) -> float:
    """How often the turn most like the last ones (0: all), by cosine of TF-IDF, is the true one."""
    documents = [set(said.lower().split()) for dialogue in train for _, said in dialogue]
    counts = collections.Counter(word for words in documents for word in words)
    idf = {word: math.log((1 + len(documents)) / (1 + n)) + 1 for word, n in counts.items()}
    rare = math.log(1 + len(documents)) + 1

    def vector(text: str) -> dict[str, float]:
        words = collections.Counter(text.lower().split())
        weighed = {word: n * idf.get(word, rare) for word, n in words.items()}
        norm = math.sqrt(sum(value * value for value in weighed.values())) or 1.0
        return {word: value / norm for word, value in weighed.items()}

    right, total = 0, 0
    for dialogue, candidates in asked:
        said = [text for _, text in dialogue[:-1]]
        query = vector(" ".join(said[-turns:]))
        likeness = [
            sum(value * query.get(word, 0.0) for word, value in vector(each).items())
            for each in candidates
        ]
        right, total = right + (int(np.argmax(likeness)) == 0), total + 1
    return right / total


def main() -> None:
    """Train, then print what the docstring says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", choices=("everyday", "dailydialog"), default="everyday")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--steps", type=int, help="instead of minutes, of a model of 1x192 units")
    parser.add_argument("--replies", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--chat-alone", action="store_true", help="train no model without --chat")
    parser.add_argument("--mix", action="store_true", help="with n-gram models of the text")
    parser.add_argument("--runs", type=Path, help="where the runs are kept; a folder of its own")
    given = parser.parse_args()
    fixed = {"steps": given.steps, "num_layers": 1, "hidden_size": 192}
    budget = fixed if given.steps else {"minutes": given.minutes}
    budget |= {"mix": "ngram"} if given.mix else {}
    parts = (everyday if given.set == "everyday" else dailydialog)(given.folder)
    with tempfile.TemporaryDirectory() as spare:
        folder = given.runs or Path(spare)
        folder.mkdir(parents=True, exist_ok=True)
        names = ("chat",) if given.chat_alone else ("chat", "text")
        models = {name: train(parts, folder, budget, chat=name == "chat") for name in names}
        report(models, parts, given)


def report(models: dict[str, Any], parts: dict[str, list[Dialogue]], given: Any) -> None:
    """Print the figures."""
    test = parts["test"]
    how = f"{given.steps:,} steps" if given.steps else f"{given.minutes:g} minutes"
    sizes = ", ".join(f"{len(each):,} {name}" for name, each in parts.items())
    print(f"{given.set}: dialogues {sizes}; {how} a model")
    for name, model in models.items():
        print(f"  {name:6} {model!r}")
    found = perplexities(models, parts["train"], test[:300])
    print("perplexity per character of replies: ", end="")
    print(", ".join(f"{name} {value:.3f}" for name, value in found.items()))
    for relevance in (0.0, 0.5):
        drawn, ended, named, taken_up = draw_replies(models["chat"], test, given.replies, relevance)
        print(
            f"{drawn:,} replies, relevance {relevance:g}: {ended / drawn:.1%} end by themselves, "
            f"{named} name a speaker, {taken_up / drawn:.1%} take up a word of five letters"
        )
    print(f"the true next turn among {CANDIDATES}, of {given.questions} questions:")
    tried = rank(models["chat"], questions(parts["validation"], given.questions // 2, 1))
    best = int(tried.mean(0).argmax())
    right = rank(models["chat"], questions(test, given.questions, 2))
    print(f"  model  {right[:, best].mean():.1%} (r = {WEIGHTS[best]}, chosen on validation)")
    print(f"  model  {right[:, 0].mean():.1%} (r = 0)")
    for turns, what in ((0, "all turns before"), (1, "the last turn")):
        share = tf_idf(parts["train"], questions(test, given.questions, 2), turns)
        print(f"  TF-IDF {share:.1%} ({what})")


if __name__ == "__main__":
    main()
