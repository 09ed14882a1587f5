"""--blend and --label of `sample`, `write`, `score`: one meaning; one line for what cannot be."""

from pathlib import Path

import pytest

from charrnn import api
from tests.support.shell import Shell, sentences


@pytest.fixture(scope="module")
def two(trained: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with a run, the same model as a file, and a model of labels."""
    shell = Shell(tmp_path_factory.mktemp("models"))
    api.load(trained.runs / "corpus", threads=1).save(shell.folder / "a.safetensors")
    shell.write("text.txt", sentences(300, 3))
    shell.write("labels.tsv", "".join(f"en\tcat {i} a\nfr\tle chat{i}\n" for i in range(40)))
    done = shell.run(
        "train", "labels.tsv", "--conditions", "--steps", "2", "--hidden-size", "8",
        "--num-layers", "1", "--threads", "1", "--quiet",
    )  # fmt: skip
    done.succeeded()
    return shell


def test_a_blend_with_itself_writes_and_scores_as_the_model(two: Shell) -> None:
    both = ("a.safetensors", "a.safetensors", "--blend", "0.7,0.3")
    one = two.run("score", "a.safetensors", "text.txt", "--no-yardsticks", "--json").succeeded()
    blend = two.run("score", *both[:2], "text.txt", *both[2:], "--no-yardsticks", "--json")
    assert blend.succeeded().json[0]["nats_per_char"] == pytest.approx(
        one.json[0]["nats_per_char"], rel=1e-5
    )
    piped = two.run(
        "score", *both, "--no-yardsticks", "--json", stdin=(two.folder / "text.txt").read_bytes()
    )
    assert piped.succeeded().json[0] == blend.json[0]
    texts = []
    for words in (both, ("a.safetensors",)):
        name = f"{len(words)}.txt"
        lines = f"\n/save {name}\n/quit\n"
        two.run("write", *words, "--seed", "1", "--length", "9", stdin=lines.encode()).succeeded()
        texts.append((two.folder / name).read_text())
    assert texts[0] == texts[1] != "\n"


def test_a_text_is_written_in_a_label_as_sample_does(two: Shell) -> None:
    for labels in (["--label", "fr"], ["--label", "en=0.7", "--label", "fr=0.3"]):
        name = f"label{len(labels)}.txt"
        lines = f"\n/save {name}\n/quit\n"
        two.run(
            "write", "labels", *labels, "--temperature", "0", "--length", "5", stdin=lines.encode()
        ).succeeded()
        same = two.run("sample", "labels", *labels, "--greedy", "--length", "5").succeeded()
        assert (two.folder / name).read_text() == same.out.removesuffix("\n") + "\n"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("write", "labels", "--label", "xx"), "has no label 'xx'"),
        (("write", "a.safetensors", "--label", "en"), "has no labels"),
        (("write", "labels", "--blend", "1,1"), "on a single model"),
        (("write", "labels", "a.safetensors"), "write together only with weights"),
        (("write", "a.safetensors", "labels", "--blend", "1,1", "--label", "en"), "on a blend"),
        (("score", "a.safetensors", "labels", "text.txt"), "unexpected extra argument (text.txt)"),
        (("score", "a.safetensors", "text.txt", "--blend", "1"), "is for 1 model, two or more"),
        (("score", "labels", "--blend", "1,1"), "is for 2 models"),
        (("score", "labels", "labels", "text.txt", "--blend", "1,x"), "no number"),
        (("score", "labels", "labels", "text.txt", "--blend", "1,1", "--labels"), "no labels"),
    ],
)
def test_what_cannot_be_is_one_line(
    two: Shell, words: tuple[str | Path, ...], problem: str
) -> None:
    two.run(*words).failed(2, problem)
