"""The progress of a training: what a person reads on stderr for each event, or silence."""

import dataclasses
import io
import sys
from pathlib import Path

import pytest

from charrnn.cli.progress import ProgressReporter, dataset_lines, hint, plan_lines, preview_lines
from charrnn.evaluation.scores import Score
from charrnn.tasks.language.corpus import Corpus
from charrnn.training.events import Evaluated, Event, Finished, Planned, Progress, Saved
from charrnn.training.planner.plan import Plan
from tests.support.tiny import TEXT, tiny_corpus, tiny_model, tiny_plan, tiny_train

PLAN = tiny_plan(tiny_model(), tiny_train(steps=2_000))

PROGRESS = Progress(
    step=1_000, epoch=1.234, loss=2.34567, metrics={"bits_per_char": 3.3841}, learning_rate=1e-3,
    grad_norm=0.5, tokens_per_second=45_250.0, seconds=7.0, seconds_left=65.0,
)  # fmt: skip

SCORE = Score(nats=200.0, tokens=100, characters=100)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """A tiny corpus."""
    return tiny_corpus(tmp_path)


def reporter_of(corpus: Corpus, silent: bool = False) -> ProgressReporter:
    """A reporter that knows its data."""
    reporter = ProgressReporter(silent)
    reporter.dataset = corpus
    return reporter


def lines_of(
    corpus: Corpus, *events: Event, capsys: pytest.CaptureFixture[str], silent: bool = False
) -> list[str]:
    """The lines printed for events after the plan."""
    planned = Planned(PLAN, 0, "runs/x")
    with reporter_of(corpus, silent) as reporter:
        reporter.report(planned)
        capsys.readouterr()
        for event in events:
            reporter.report(event)
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_the_plan_is_printed_before_anything_is_done(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    with reporter_of(corpus) as reporter:
        reporter.report(Planned(PLAN, 0, "runs/x", {"5-gram": 1.5, "gzip": 2.25}))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == [
        "text",
        "model",
        "plan",
        "better:",
        "baselines",
        "run",
    ]
    assert lines[0].startswith(f"text    {len(TEXT)} characters (train ")
    assert lines[0].endswith(" char tokens")
    assert lines[1].startswith("model   lstm, 2 x 8 units, ")
    assert lines[2].startswith("plan    2,000 steps of 4 x 8 tokens, 1.0 epochs, about 0:01, ")
    assert lines[3] == "        better: --minutes 0.8"
    assert lines[4] == "baselines  5-gram 1.5000, gzip 2.2500 nats/char"
    assert lines[5] == "run     runs/x"


def test_a_plan_that_the_text_ends_says_so(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = dataclasses.replace(PLAN, most_steps=2_000)
    with reporter_of(corpus) as reporter:
        reporter.report(Planned(plan, 0, "runs/x"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[3].strip().startswith("more time would only overfit so short a text")
    assert lines[4] == "        better: more text"


def test_a_long_plan_says_what_is_quicker() -> None:
    long = dataclasses.replace(PLAN, seconds=600.0)
    assert hint(long) == "        quicker: --minutes 3, better: --minutes 40"


def test_what_is_quicker_is_below_the_plan_and_not_only_below_what_was_given() -> None:
    short = dataclasses.replace(PLAN, seconds=87.0, minutes=5.0)
    assert hint(short).startswith("        quicker: --minutes 0.5, ")
    late = dataclasses.replace(PLAN, seconds=600.0, minutes=5.0)
    assert hint(late) == "        quicker: --minutes 1.7, better: --minutes 20"


def test_a_resumed_training_says_where_it_goes_on(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    with reporter_of(corpus) as reporter:
        reporter.report(Planned(PLAN, 1_500, "runs/x"))
    assert capsys.readouterr().err.splitlines()[-1] == "resumed at step 1,500 of 2,000"


def test_progress_is_a_line(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(corpus, PROGRESS, capsys=capsys) == [
        "step 1,000/2,000  epoch 1.23  loss 2.3457  3.384 bits/char  45.2k tokens/s  1:05 left"
    ]


def test_progress_is_printed_every_few_seconds_and_at_the_end(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    soon = dataclasses.replace(PROGRESS, step=1_001, seconds=8.0)
    later = dataclasses.replace(PROGRESS, step=1_002, seconds=12.0)
    last = dataclasses.replace(PROGRESS, step=2_000, seconds=12.1)
    lines = lines_of(corpus, PROGRESS, soon, later, last, capsys=capsys)
    assert [line.split()[1] for line in lines] == ["1,000/2,000", "1,002/2,000", "2,000/2,000"]


@pytest.mark.parametrize("best", [True, False])
def test_an_evaluation_is_printed_with_a_sample_of_the_model(
    best: bool, corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    event = Evaluated(500, SCORE, best, "\none\ntwo\x1b[2J\n\n", 3.0)
    assert lines_of(corpus, event, capsys=capsys) == [
        "step 500: validation 2.0000 nats/char, 2.885 bits/char"
        + (", the best so far" if best else ""),
        "    one",
        "    two^[[2J",
    ]


def test_markup_in_a_sample_is_shown(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    event = Evaluated(500, SCORE, False, "[red]a[/]", 3.0)
    assert lines_of(corpus, event, capsys=capsys)[1:] == ["    [red]a[/]"]


def test_a_checkpoint_is_mentioned_only_if_something_went_wrong(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = Saved(500, Path("x"), (), 3.0)
    assert lines_of(corpus, saved, capsys=capsys) == []
    warned = dataclasses.replace(saved, warnings=("cannot remove a: no", "cannot remove b: no"))
    assert lines_of(corpus, warned, capsys=capsys) == [
        "charrnn: note: cannot remove a: no",
        "charrnn: note: cannot remove b: no",
    ]


def test_the_end_says_what_to_try_next(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(corpus, Finished(2_000, 1.98761, 1_500, 34.56, 65.0), capsys=capsys) == [
        "done in 1:05, 34.6 epochs; best 1.9876 nats/char at step 1,500; "
        "now try: charrnn sample runs/x"
    ]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


def test_in_a_terminal_the_bar_is_closed_before_the_end_is_printed(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with reporter_of(corpus) as reporter:
        for event in (Planned(PLAN, 0, "runs/x"), PROGRESS):
            reporter.report(event)
        reporter.report(Finished(2_000, 1.5, 2_000, 2.0, 65.0))
        bar, _, end = stream.getvalue().partition("done in ")
    assert "step 1,000/2,000" in bar
    assert bar.count("\x1b[?25l") == bar.count("\x1b[?25h") == 1  # the cursor is back
    assert bar.endswith("\x1b[2K")  # on a line that is blank
    assert end == (
        "1:05, 2.0 epochs; best 1.5000 nats/char at step 2,000; now try: charrnn sample runs/x\n"
    )
    assert stream.getvalue().endswith(end)  # and nothing is left to close


def test_a_loss_of_zero_is_a_best_one_too(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        "best 0.0000 nats/char" in lines_of(corpus, Finished(9, 0.0, 9, 1.0, 1.0), capsys=capsys)[0]
    )


def test_without_an_evaluation_the_end_names_no_best(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lines_of(corpus, Finished(2_000, None, 0, 2.0, 5.0), capsys=capsys) == [
        "done in 0:05, 2.0 epochs; now try: charrnn sample runs/x"
    ]


def test_a_silent_reporter_prints_nothing(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    events = (
        PROGRESS,
        Evaluated(500, SCORE, True, "text", 3.0),
        Saved(500, Path("x"), ("warning",), 3.0),
        Finished(2_000, 1.0, 500, 2.0, 65.0),
    )
    assert lines_of(corpus, *events, capsys=capsys, silent=True) == []


def test_a_reporter_without_events_ends_well(corpus: Corpus) -> None:
    with reporter_of(corpus):
        pass


def test_splits_and_notes_of_a_corpus_are_printed(tmp_path: Path) -> None:
    corpus = tiny_corpus(tmp_path, valid_fraction=0.2, test_fraction=0.1)
    noted = dataclasses.replace(corpus, notes=("3 blank lines are left out",))
    lines = dataset_lines(noted, tiny_train())
    assert " valid " in lines[0]
    assert " test " in lines[0]
    assert lines[1:] == ["        3 blank lines are left out"]


def test_a_shortened_validation_is_mentioned(corpus: Corpus) -> None:
    size = corpus.size("valid")
    for final, words in (
        ("beginning", "the first 12 tokens"),  # a run of version 0.1
        ("whole", f"12 of {size} tokens, evenly spread, and on all at the end"),
        ("pieces", f"12 of {size} tokens, evenly spread, also at the end"),
    ):
        config = tiny_train(eval_tokens=12, final_eval=final)
        assert dataset_lines(corpus, config)[1:] == [f"        validating on {words}"]
    assert len(dataset_lines(corpus, tiny_train(eval_tokens=size))) == 1  # that is the whole


def test_evaluations_are_shown_as_often_as_a_person_reads(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten in ten seconds, the last of pieces and on the whole: some lines, and both ends."""
    plan = tiny_plan(tiny_model(), tiny_train(steps=10))
    score = Score(nats=2.0, tokens=2, characters=2)
    with reporter_of(corpus) as reporter:
        reporter.report(Planned(plan, 0, "runs/tiny"))
        for step in range(1, 11):
            sample = "ab" if step == 10 else ""
            reporter.report(Evaluated(step, score, False, sample, float(step), pieces=True))
        reporter.report(Evaluated(4, score, True, "", 11.0))
        reporter.report(Evaluated(10, score, False, "", 12.0))
        reporter.report(Finished(10, 1.0, 4, 1.0, 12.0))
    lines = [line for line in capsys.readouterr().err.splitlines() if ": validation" in line]
    assert [line.split(":")[0] for line in lines] == [
        "step 1", "step 7", "step 10", "step 4", "step 10",
    ]  # fmt: skip
    assert [" on the whole part" in line for line in lines] == [False] * 3 + [True] * 2


@pytest.mark.parametrize(("rate", "words"), [(0.25, ", dropout 0.25, about"), (0.0, "epochs, ab")])
def test_dropout_is_mentioned_where_there_is_any(rate: float, words: str) -> None:
    plan: Plan = tiny_plan(tiny_model(dropout=rate), tiny_train())
    assert words in plan_lines(plan)[1]


def test_the_size_of_the_model_is_printed_in_numbers_and_bytes() -> None:
    line = plan_lines(PLAN)[0]
    assert f"{PLAN.parameters:,} parameters" in line
    assert line.endswith(" kB")


@pytest.mark.parametrize(
    ("sample", "lines"),
    [
        ("\na\n\nb \n", ["a", "", "b "]),
        ("\n" * 120, ["(the sample is blank: 120 newlines)"]),
        ("\n \t\n  ", ["(the sample is blank: 2 newlines, 3 spaces, 1 other blank)"]),
        (" ", ["(the sample is blank: 1 space)"]),
    ],
)
def test_a_sample_of_blanks_is_one_line_that_says_so(sample: str, lines: list[str]) -> None:
    assert preview_lines(sample) == lines
