"""The runs of a folder: how they are named, listed and found."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run import (
    Run,
    create_run,
    find_checkpoint,
    find_run,
    list_runs,
    load_checkpoint,
    next_turn,
)
from charrnn.errors import CheckpointError, StorageError, UsageError
from tests.support.tiny import smallest_checkpoint


def trained(root: Path, name: str, turn: object = None) -> Run:
    """A run with a description, as if trained in that turn."""
    run = create_run(root, name)
    run.write_description({} if turn is None else {"turn": turn})
    return run


def test_a_run_gets_the_requested_name(tmp_path: Path) -> None:
    run = create_run(tmp_path / "deep" / "runs", "tale")
    assert run.folder == tmp_path / "deep" / "runs" / "tale"
    assert run.folder.is_dir()


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    names = [create_run(tmp_path, "tale").name for _ in range(4)]
    assert names == ["tale", "tale-2", "tale-3", "tale-4"]
    (tmp_path / "tale-2").rmdir()
    assert create_run(tmp_path, "tale").name == "tale-2"


def test_a_name_can_be_taken_by_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "tale").write_text("mine")
    (tmp_path / "tale-2").symlink_to("gone")
    assert create_run(tmp_path, "tale").name == "tale-3"
    assert (tmp_path / "tale").read_text() == "mine"


@pytest.mark.parametrize(
    ("asked", "given_name"),
    [
        ("War and Peace", "War-and-Peace"),
        ("a/b", "a-b"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", "run"),
        (".", "run"),
        ("", "run"),
        ("---", "run"),
        ("-x", "x"),
        (".hidden", "hidden"),
        ("tale.", "tale"),
        ("v1.2_b-c", "v1.2_b-c"),
        ("a\nb\x1b[31m\0c", "a-b-31m-c"),
        ("[red]*?", "red"),
        ("Война", "Война"),
        ("日本語", "日本語"),
        ("😀", "run"),
        (os.fsdecode(b"caf\xe9"), "caf"),
        ("x" * 300, "x" * 80),
        ("x" * 79 + "-y", "x" * 79),
    ],
)
def test_unusual_names_become_valid_folder_names(
    tmp_path: Path, asked: str, given_name: str
) -> None:
    run = create_run(tmp_path, asked)
    assert run.name == given_name
    assert os.listdir(tmp_path) == [given_name]


@given(name=st.text(max_size=120))
@settings(max_examples=80, deadline=None)
def test_any_name_makes_one_folder_below_the_root(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    root = tmp_path_factory.mktemp("any")
    first, second = create_run(root, name), create_run(root, name)
    assert sorted(os.listdir(root)) == sorted([first.name, second.name])
    assert second.name == first.name + "-2"
    assert not first.name.startswith((".", "-"))


@pytest.mark.parametrize("name", ["日" * 120, "\U00010400" * 120])
def test_a_long_name_of_wide_characters_fits_the_disk(tmp_path: Path, name: str) -> None:
    run = create_run(tmp_path, name)
    assert run.folder.is_dir()
    assert set(run.name) == set(name)
    assert create_run(tmp_path, name).name == run.name + "-2"


def test_a_root_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(
        StorageError, match=r"cannot make the folder .*runs/tale: .*; choose anothe"
    ):
        create_run(tmp_path / "runs", "tale")


def test_a_disk_that_makes_no_folder_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot make the folder /proc/tale: .*--runs-dir"):
        create_run(Path("/proc"), "tale")


def test_when_all_names_are_taken_it_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(path: Path, *_: object, **settings: object) -> None:
        if path != tmp_path:
            raise FileExistsError

    monkeypatch.setattr(Path, "mkdir", taken)
    with pytest.raises(UsageError, match="all names from tale on are taken; choose another --name"):
        create_run(tmp_path, "tale")


def test_runs_are_listed_in_the_order_of_their_turns(tmp_path: Path) -> None:
    for name, turn in (("b", 3), ("a", 1), ("c", 2)):
        trained(tmp_path, name, turn)
    assert [run.name for run in list_runs(tmp_path)] == ["a", "c", "b"]
    assert next_turn(tmp_path) == 4


def test_runs_with_an_invalid_turn_come_first_and_by_name(tmp_path: Path) -> None:
    trained(tmp_path, "z", 1)
    for name, turn in (("d", None), ("c", "9"), ("b", True), ("a", 2.5)):
        trained(tmp_path, name, turn)
    broken = trained(tmp_path, "e", 7)
    (broken.folder / "run.json").write_text("{")
    assert [run.name for run in list_runs(tmp_path)] == ["a", "b", "c", "d", "e", "z"]
    assert next_turn(tmp_path) == 2


def test_dates_of_files_have_no_effect(tmp_path: Path) -> None:
    for turn, name in enumerate("cab", 1):
        run = trained(tmp_path, name, turn)
        for path in (run.folder, run.folder / "run.json"):
            os.utime(path, (4e9 - turn, 4e9 - turn))
    assert find_run(tmp_path, None).name == "b"


def test_other_files_and_folders_are_not_listed(tmp_path: Path) -> None:
    create_run(tmp_path, "undescribed")
    (tmp_path / "file").touch()
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "run.json").write_text("{}")
    assert list_runs(tmp_path) == []
    assert next_turn(tmp_path) == 1


def test_a_missing_folder_contains_no_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "gone") == []
    assert next_turn(tmp_path / "gone") == 1
    (tmp_path / "file").touch()
    assert list_runs(tmp_path / "file") == []


def test_a_run_is_found_by_name_by_folder_or_as_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "runs"
    first, last = trained(root, "first", 1), trained(root, "last", 2)
    assert find_run(root, "first") == first
    assert find_run(root, None) == last
    assert find_run(tmp_path / "gone", str(first.folder)) == first
    monkeypatch.chdir(root)
    assert find_run(tmp_path / "gone", "first").folder == Path("first")
    monkeypatch.chdir(first.folder)
    assert find_run(root, ".").folder == Path(".")


def test_a_folder_takes_precedence_over_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path / "runs", "tale", 1)
    mine = trained(tmp_path / "here", "tale", 1)
    monkeypatch.chdir(tmp_path / "here")
    assert find_run(tmp_path / "runs", "tale").folder.resolve() == mine.folder


def test_no_run_at_all_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=f"there is no run in {tmp_path}; train one first: charrnn"
    ):
        find_run(tmp_path, None)
    with pytest.raises(UsageError, match=r"there is no run tale in .*; the runs there are: none"):
        find_run(tmp_path, "tale")


@pytest.mark.parametrize("name", ["tail", "", "a/b", "x" * 300, "x/" * 3000, "a\0b", "\ud800"])
def test_an_unknown_run_is_a_usage_error_that_names_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for turn, known in enumerate(("tale", "song"), 1):
        trained(tmp_path / "runs", known, turn)
    with pytest.raises(UsageError, match=r"there is no run [^$]*; the runs there are: tale, song"):
        find_run(tmp_path / "runs", name)
    with pytest.raises(UsageError, match=r"there is no run [^$]*; the runs there are: tale, song"):
        find_checkpoint(tmp_path / "runs", name)


@pytest.fixture
def tale(tmp_path: Path) -> Run:
    """A run with three checkpoints, the second of them best."""
    run = trained(tmp_path, "tale", 1)
    for step, valid in ((10, 2.0), (20, 1.0), (30, 3.0)):
        checkpoint.save(smallest_checkpoint(step, valid, training=False), run.path_of(step))
    return run


@pytest.mark.parametrize(("which", "step"), [("best", 20), ("latest", 30), ("10", 10)])
def test_a_checkpoint_is_found_through_its_run(tale: Run, which: str, step: int) -> None:
    root = tale.folder.parent
    for name in (None, "tale", str(tale.folder)):
        assert find_checkpoint(root, name, which) == tale.folder / tale.path_of(step).name


def test_the_default_is_the_best_checkpoint(tale: Run) -> None:
    assert find_checkpoint(tale.folder.parent, None) == tale.path_of(20)


def test_a_checkpoint_file_is_returned_itself(tale: Run, tmp_path: Path) -> None:
    for copy in (tmp_path / "copy.safetensors", tmp_path / "a file without a suffix"):
        shutil.copyfile(tale.path_of(10), copy)
        assert find_checkpoint(tmp_path / "gone", str(copy)) == copy


def test_a_missing_checkpoint_file_is_returned_itself_too(tmp_path: Path) -> None:
    gone = tmp_path / "gone.safetensors"
    assert find_checkpoint(tmp_path, str(gone)) == gone


def test_a_step_without_a_checkpoint_is_a_usage_error(tale: Run) -> None:
    with pytest.raises(UsageError, match="the run tale has no checkpoint 25; choose best, latest"):
        find_checkpoint(tale.folder.parent, None, "25")


def test_a_run_without_checkpoints_is_a_usage_error(tmp_path: Path) -> None:
    trained(tmp_path, "empty", 1)
    with pytest.raises(UsageError, match=r"the run empty has no checkpoint best; .*: none yet"):
        find_checkpoint(tmp_path, None)


def test_a_checkpoint_is_found_and_loaded(tale: Run) -> None:
    path, model = load_checkpoint(tale.folder.parent, "tale", "latest")
    assert (path, model.info.step) == (tale.path_of(model.info.step), model.info.step)


def test_a_checkpoint_pruned_between_finding_and_loading_is_looked_up_again(
    tale: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a training deletes the previous best checkpoint while it is about to be sampled."""
    best, load = tale.best(), checkpoint.load
    assert best is not None

    def late(path: Path) -> Checkpoint:
        best.path.unlink(missing_ok=True)
        return load(path)

    monkeypatch.setattr(checkpoint, "load", late)
    path, model = load_checkpoint(tale.folder.parent, "tale")
    assert path == tale.path_of(model.info.step) != best.path


def test_a_deleted_checkpoint_is_looked_up_again_only_once(
    tale: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, load = [], checkpoint.load

    def late(path: Path) -> Checkpoint:
        tried.append(path)
        path.unlink()
        return load(path)

    monkeypatch.setattr(checkpoint, "load", late)
    with pytest.raises(CheckpointError, match="No such file"):
        load_checkpoint(tale.folder.parent, "tale")
    assert len(tried) == 2
    with pytest.raises(CheckpointError, match="No such file"):
        load_checkpoint(tale.folder, str(tale.path_of(30)))
    assert len(tried) == 3
