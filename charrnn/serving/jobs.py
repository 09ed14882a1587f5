"""What a request asks for -> the jobs of a scheduler, and how many tokens they read."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from charrnn.inference.constraints import token_biases
from charrnn.inference.generation import Chunk, GenerationState, SamplingParams, begin
from charrnn.inference.labelled_engine import LabelledEngine
from charrnn.inference.running_batch import Ends, Job
from charrnn.inference.sampling import Filter, bias, filters
from charrnn.serving.limits import Limits
from charrnn.serving.messages import is_chat, recall
from charrnn.serving.models import Served
from charrnn.serving.problems import Problem, refused
from charrnn.serving.requests import Asked, Prompt
from charrnn.tokenizers import Tokenizer

Report = Callable[[int, Chunk | Exception], None]
"""Called in the scheduler's thread with the number of a job and what it reports."""


@dataclass(frozen=True)
class Work:
    """The jobs of a request. prompts: text of each prompt, for `echo`. read: tokens read."""

    jobs: tuple[Job, ...]
    prompts: tuple[str, ...]
    read: int


def make_work(asked: Asked, served: Served, limits: Limits, report: Report) -> Work:
    """A request and its model -> what to write. Problem or UsageError if that cannot be done."""
    # Made once here, so that what is wrong with them is found before anything is written.
    filters(asked.values)
    params = SamplingParams(
        length=asked.length,
        lines=served.model.checkpoint.info.lines,
        stop=asked.stop,
        seed=secrets.randbits(32) if asked.seed is None else asked.seed,
        values=dict(asked.values),
        logprobs=asked.logprobs,
    )
    made = _reply(asked, served, params) if asked.is_chat else _texts(asked, served, params)
    jobs, read = [], 0
    for number, (job, _) in enumerate(made):
        job.on_chunk = _numbered(report, number)
        # The first id of a start is no part of the prompt.
        size = len(job.start.history) + len(job.start.ids) - 1
        if size > limits.prompt:
            raise Problem(
                400,
                f"the prompt has {size} tokens, and at most {limits.prompt} are read",
                param="messages" if asked.is_chat else "prompt",
                code="context_length_exceeded",
            )
        read += size
        jobs.append(job)
    return Work(tuple(jobs), tuple(prompt for _, prompt in made), read)


def _numbered(report: Report, number: int) -> Callable[[Chunk | Exception], None]:
    return lambda chunk: report(number, chunk)


def _texts(asked: Asked, served: Served, params: SamplingParams) -> list[tuple[Job, str]]:
    """The jobs of a completion, with the texts of the prompts."""
    model, tokenizer = served.model, served.model.tokenizer
    constraints, labelled = asked.constraints, _labelled(asked, served)
    params = replace(params, whole=constraints.writes_characters)
    streams = [(index,) for index in range(asked.n)]
    found = []
    for prompt in asked.prompts:
        start = _start(prompt, tokenizer)
        text = prompt if isinstance(prompt, str) else tokenizer.decode(prompt)
        made = [model.filters(constraints) for _ in streams]
        job = Job(start, params, _unheard, streams, _each(made, asked, tokenizer))
        if labelled and served.model.tokenizer.start_id in start.ids[1:]:
            # Only where a document begins is the label read.
            raise refused("prompt", "a prompt in a label cannot begin another document")
        job.labelled = labelled
        if asked.echo and asked.logprobs >= 0:
            job.prompt_logprobs = asked.logprobs
        found.append((job, text))
    return found


def _reply(asked: Asked, served: Served, params: SamplingParams) -> list[tuple[Job, str]]:
    """The job of a chat."""
    from charrnn.tasks.language.chat import Chat

    if asked.label:
        raise refused("label", "no model of a chat has labels")
    if not is_chat(served.model):
        raise Problem(
            400,
            f"{served.name} is no model of a chat; use /v1/completions",
            param="model",
            code="model_not_supported",
        )
    chat = Chat(served.model, params=params, constraints=asked.constraints)
    start, stream = chat.opened(recall(chat, asked.messages))
    streams = [(stream + index,) for index in range(asked.n)]
    made = [chat.filters() for _ in streams]
    each = _each(made, asked, served.model.tokenizer)
    return [(Job(start, chat.turn_params, _unheard, streams, each), "")]


def _labelled(asked: Asked, served: Served) -> LabelledEngine | None:
    """The engine that begins a text with the label that is asked for."""
    if not asked.label:
        return None
    return served.labelled(asked.label)


def _start(prompt: Prompt, tokenizer: Tokenizer) -> GenerationState:
    """A prompt -> where its texts begin."""
    if isinstance(prompt, str):
        return begin(tokenizer, prompt)
    if not all(0 <= token < tokenizer.vocab_size for token in prompt):
        raise refused("prompt", f"ids of this model go from 0 to {tokenizer.vocab_size - 1}")
    return GenerationState(np.array([tokenizer.start_id, *prompt], np.int64))


def _each(
    made: list[tuple[list[Filter], Ends | None]], asked: Asked, tokenizer: Tokenizer
) -> Callable[[], tuple[list[Filter], Ends | None]] | None:
    """The filters of each text, made before, so that an error in them is this request's alone."""
    if asked.bias:
        amounts = _amounts(asked, tokenizer)
        first = bias(amounts, tokenizer.vocab_size)
        made = [([first, *own], ends) for own, ends in made]
    if not any(own or ends for own, ends in made):
        return None
    left: Iterator[Any] = iter(made)
    return lambda: next(left)


def _amounts(asked: Asked, tokenizer: Tokenizer) -> dict[int, float]:
    """logit_bias -> id -> amount; a name that is no number is the text of a token."""
    found = {}
    for name, amount in asked.bias.items():
        if not name.isascii() or not name.isdigit():
            found.update(token_biases({name: amount}, tokenizer))
        elif len(name) < 10 and int(name) < tokenizer.vocab_size:
            found[int(name)] = amount
        else:
            raise refused("logit_bias", f"ids go from 0 to {tokenizer.vocab_size - 1}")
    return found


def _unheard(chunk: Chunk | Exception) -> None:
    """Reports are sent where `make_work` says."""
