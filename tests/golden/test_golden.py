"""The program does what an older version did, with the runs that it left and on the command line.

`make` made the golden files with that version. A float may differ in its last digits, because they
hang on the processor and on libraries; where those are the ones of the golden files, trainings and
hidden states are held to the last bit.
"""

import contextlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints import checkpoint as library
from charrnn.data.config import data_config_from_json
from charrnn.tasks.language.corpus import prepare
from tests.golden import describe
from tests.golden.compare import (
    CLOCK,
    EXACT,
    events,
    golden,
    same,
    same_events,
    same_file,
    same_trainings,
    same_weights,
)
from tests.golden.make import (
    COMMON,
    ENVIRONMENT,
    FILES,
    HALF,
    LAST,
    STATE,
    TRAININGS,
    checkpoint,
    made,
)
from tests.support.shell import Done, Shell

OUTPUTS = golden("outputs.json")

INTERFACE = golden("interface.json")

CHANGED = {
    # The text of a prompt depends on the prompt, and no longer on its place in the file.
    "--prompts prompts.txt": """\
the0ied es e   0 a \n h se htroise,,er tt
ee  iin
\ufffdedIara dn   r

A birdt e0:methhan in ne
o.fr ehe eaen t s7
4e m ,4 B,rtdtst\ufffdT t 7

xeeaadfe naa,A s
 :dn h.,a3r i\ufffda ih T, aeh 33d e3 ir r \n e\ufffdan
""",
    # Characters of several tokens can be written under these two: g, and the hyphen.
    "--allow abcdefgh": "beeaaeehedhdeeeaheeaeeeaeaddeaeeaaeheeafdeeeadeeaaeeeeeeeahe\n",
    "--regex [a-f]{3,5}-": "aeeaa-7317.\n",
    # All parts of the corpus are searched, and the user's own file and line are named.
    "originality other.txt --run lstm-char --shortest 12 --json": json.dumps(
        {
            "characters": 276,
            "copied_share": 107 / 276,
            "longest": 40,
            "spans": [
                dict(
                    zip(
                        ("begin", "length", "corpus_line", "text", "part", "file", "line"),
                        (begin, len(text), corpus_line, text, part, "text.txt", line),
                        strict=True,
                    )
                )
                for begin, corpus_line, part, line, text in (
                    (0, 8, "train", 8, "een is it, A bird the green a green!\nIs "),
                    (65, 37, "train", 37, " then home a "),
                    (90, 6, "test", 78, "ird sees bird"),
                    (197, 3, "train", 3, " it bird and "),
                    (93, 2, "train", 2, " sees bird a"),
                    (121, 14, "train", 14, " is the bird"),
                    (200, 7, "train", 7, " bird and a "),
                    (249, 7, "test", 79, " then sees a"),
                )
            ],
        }
    )
    + "\n",
    "originality other.txt --run lstm-char --shortest 12": """\
38.8% of 276 characters stand in the corpus in spans of 12 or more; the longest has 40
length   at  part   place        text                                    .
    40    0  train  text.txt:8   een is it, A bird the green a green!\N{RETURN SYMBOL}Is .
    13   65  train  text.txt:37   then home a                            .
    13   90  test   text.txt:78  ird sees bird                           .
    13  197  train  text.txt:3    it bird and                            .
    12   93  train  text.txt:2    sees bird a                            .
    12  121  train  text.txt:14   is the bird                            .
    12  200  train  text.txt:7    bird and a                             .
    12  249  test   text.txt:79   then sees a                            .
""".replace(" .\n", " \n"),
}
"""What is in a command line whose text is meant to be another than it was -> that text."""

RANKED = " --order given rnn-word lstm-char gru-byte lstm-subword"
"""The order in which `compare` ranked runs of different texts, which it no longer ranks."""

PLANNED = " --optimizer adamw"
"""What the planner chose for every text, where the command line names no optimizer."""

each_run = pytest.mark.parametrize("name", list(TRAININGS))


@pytest.fixture
def copy(tmp_path: Path) -> Shell:
    """A copy of the golden files, for a command line to be run in."""
    return Shell(shutil.copytree(FILES, tmp_path / "copy"))


def run(copy: Shell, words: Sequence[str], variables: Mapping[str, str] = {}) -> Done:
    """Run a command line as `make` ran it."""
    settings: dict[str, Any] = {**ENVIRONMENT, **variables}
    return copy.run(*words, **settings)


@each_run
def test_a_checkpoint_is_read_and_written_again_byte_for_byte(name: str, tmp_path: Path) -> None:
    for step in (HALF, LAST):
        before = checkpoint(FILES / "trained" / name, step)
        model = library.load(before, training=None)
        assert model.training is not None
        library.save(model, tmp_path / "again.safetensors")
        assert (tmp_path / "again.safetensors").read_bytes() == before.read_bytes()


@each_run
def test_a_run_that_was_stopped_midway_ends_as_it_would_have(name: str, copy: Shell) -> None:
    again, whole = copy.folder / "trained" / name, FILES / "trained" / name
    checkpoint(again, LAST).unlink()
    run(copy, ("train", "--resume", "--name", name, "--quiet")).succeeded()
    same_file(checkpoint(again, LAST), checkpoint(whole, LAST))
    assert checkpoint(again, HALF).read_bytes() == checkpoint(whole, HALF).read_bytes()
    same_events(again / "metrics.jsonl", FILES / "resumed" / f"{name}.jsonl")
    # Up to where it was stopped its log stays as it was, times included.
    before = [event for event in events(whole / "metrics.jsonl") if event["step"] <= HALF]
    assert events(again / "metrics.jsonl")[: len(before)] == before
    described, was = (json.loads((each / "run.json").read_text()) for each in (again, whole))
    assert described.pop("turn") == len(TRAININGS) + 1
    del was["turn"]
    same(described, was, close=0.0)


# Without the run of lines: today a new one splits lines by their content and shuffles them anew in
# each epoch, so that neither a period nor a repetition decides what validates.
@pytest.mark.parametrize("name", [name for name in TRAININGS if "--lines" not in TRAININGS[name]])
def test_a_training_repeats_with_its_events_its_description_and_its_checkpoints(
    name: str, copy: Shell
) -> None:
    again, before = copy.folder / "trained" / name, FILES / "trained" / name
    shutil.rmtree(again)
    words = ("train", *TRAININGS[name], *COMMON, "--name", name, *PLANNED.split())
    told = run(copy, (*words, "--json")).succeeded()
    assert told.json == events(again / "metrics.jsonl")
    same_trainings(events(again / "metrics.jsonl"), events(before / "metrics.jsonl"))
    text = (again / "run.json").read_text()
    described = json.loads(text)
    assert text == json.dumps(described, indent=2, sort_keys=True) + "\n"
    assert described["turn"] == len(TRAININGS) + (name != list(TRAININGS)[-1])
    was = json.loads((before / "run.json").read_text())
    for each in (described, was):
        each["versions"] = dict.fromkeys(each["versions"], "")
        # The planner counts the memory of evaluations too. A new run chooses the minimum count by
        # its text, where 1 was the default, and counts the words that have no id.
        del each["plan"]["memory"]
        # A busy machine is mentioned.
        each["plan"].pop("busy", None)
        each["recipe"]["min_count"] = each["recipe"]["min_count"] or 1
        each["corpus"].pop("unknown", None)
    same(described, was, (*CLOCK, "started", "turn"), 0.0)
    for step in (HALF, LAST):
        same_weights(checkpoint(again, step), checkpoint(before, step))


@each_run
def test_the_text_of_a_run_is_prepared_again_as_the_same_bytes(name: str, copy: Shell) -> None:
    """By its recipe, as a resume does; a new run may learn another tokenizer and other splits."""
    again, before = copy.folder / "trained" / name, FILES / "trained" / name
    shutil.rmtree(again / "corpus")
    config = data_config_from_json(json.loads((before / "run.json").read_text())["recipe"])
    with contextlib.chdir(copy.folder):
        prepare(config, again / "corpus", library.load(checkpoint(before, LAST)).encoder)
    kept = {path.name: path.read_bytes() for path in (again / "corpus").iterdir()}
    assert kept == {path.name: path.read_bytes() for path in (before / "corpus").iterdir()}


@pytest.mark.parametrize(
    "case", OUTPUTS, ids=lambda case: " ".join((*case["variables"], case["line"]))
)
def test_a_command_line_has_its_output_its_files_and_its_exit_code(
    case: dict[str, Any], copy: Shell
) -> None:
    line = case["line"]
    words = (line + RANKED if line in ("compare", "compare --json") else line).split()
    if words[0] == "plan":
        words += PLANNED.split()
    before = set(copy.folder.rglob("*"))
    done = run(copy, words, case["variables"])
    for part, text in CHANGED.items():
        if part in line:
            assert done.succeeded().out == text
            return
    assert done.code == case["code"], done.err
    lines = done.out.split("\n")
    if "--json" in words:
        spelled = [json.dumps(json.loads(line), ensure_ascii=False) for line in lines[:-1]]
        assert [*spelled, ""] == lines
        # The memory of a plan holds its evaluations too.
        but = (*CLOCK, "memory") if words[0] == "plan" else ()
        same([_parsed(line) for line in lines], [_parsed(line) for line in case["stdout"]], but)
    else:
        assert lines == case["stdout"]
    assert made(copy.folder, before) == case["made"]


def _parsed(line: str) -> Any:
    """The value of a line; the last is empty."""
    return json.loads(line, object_hook=_without_additions) if line else ""


def _without_additions(value: dict[str, Any]) -> dict[str, Any]:
    """Without the bytes of half-byte tokens, and a plan's remark that the machine was busy."""
    added = {"bytes"} if "logprob" in value else {"busy"} if "tokens_per_second" in value else set()
    return {key: each for key, each in value.items() if key not in added}


def test_the_end_of_a_text_is_kept_as_it_was(copy: Shell) -> None:
    (copy.folder / "end.state").unlink()
    run(copy, STATE.split()).succeeded()
    same_file(copy.folder / "end.state", FILES / "end.state")
    if EXACT:
        assert (copy.folder / "end.state").read_bytes() == (FILES / "end.state").read_bytes()


@each_run
def test_an_exported_graph_has_the_same_names_shapes_and_words(name: str, copy: Shell) -> None:
    run(copy, ("checkpoints", "export", name, "--format", "onnx")).succeeded()
    now, before = describe.onnx_file(copy.folder / f"{name}.onnx"), golden("onnx.json")[name]
    # The document says more now, and metadata was added: its format is 2. What was there stays.
    now["document"], before["document"] = None, None
    assert now["properties"].pop("charrnn.format") == "2"
    assert now["properties"].pop("charrnn.use")
    same(now, before, close=0.0)


def test_every_command_is_still_there_in_its_place() -> None:
    now = list(describe.interface())
    assert [command for command in now if command in INTERFACE] == list(INTERFACE)


@pytest.mark.parametrize("command", INTERFACE)
def test_every_option_and_argument_of_a_command_is_as_it_was(command: str) -> None:
    """More of them may have been added since, but no argument and none that is required.

    One argument was: the further runs of a blend, behind those that there were.
    """
    now = {each["name"]: each for each in describe.interface()[command]}
    before = {each["name"]: each for each in INTERFACE[command]}
    # The default is chosen by the text now: where many characters or words occur once, it is 2.
    for each in (now, before):
        if "min_count" in each:
            each["min_count"] = {**each["min_count"], "default": None}
    same({name: now.get(name) for name in before}, before, close=0.0)
    assert [name for name in now if name in before] == list(before)
    blended = "more" if command in ("charrnn sample", "charrnn write", "charrnn score") else ""
    added = [each for name, each in now.items() if name not in (*before, blended)]
    assert not [each for each in added if each["kind"] == "argument" or "required" in each["marks"]]
