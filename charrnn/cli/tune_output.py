"""`charrnn sample --output`: whole tunes in files, as ABC, MIDI or sound."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.activity import activity
from charrnn.checkpoints.atomic import check_target, write_durably
from charrnn.cli import terminal
from charrnn.data.tunes.rendering import check_programs, check_suffix, rendered
from charrnn.errors import StorageError

if TYPE_CHECKING:
    from charrnn.cli.sample_output import Job
    from charrnn.tasks.language.language_model import LanguageModel


def files_of(output: Path, count: int) -> list[Path]:
    """--output and the number of tunes -> their files: one, or those of a folder of that name.

    >>> files_of(Path("jig.mid"), 1), [str(each) for each in files_of(Path("jig.mid"), 2)]
    ([PosixPath('jig.mid')], ['jig/jig-1.mid', 'jig/jig-2.mid'])
    """
    if count == 1:
        return [output]
    digits = len(str(count))
    folder = output.with_suffix("")
    return [
        folder / f"{output.stem}-{number:0{digits}}{output.suffix}"
        for number in range(1, count + 1)
    ]


def check_files(output: Path, count: int, force: bool) -> list[Path]:
    """The files of --output, before anything is drawn for them.

    UsageError if one is there already, if the name is not that of a tune, or if what its kind of
    file needs is not installed.
    """
    check_programs(check_suffix(output))
    files = files_of(output, count)
    folder = files[0].parent
    if count > 1 and not folder.is_dir():
        # The folder is made when the first tune is there; that of the folder has to exist.
        check_target(folder, force=False)
        return files
    for each in files:
        check_target(each, force)
    return files


def write_tunes(job: "Job", model: "LanguageModel", files: Sequence[Path], tempo: float) -> None:
    """Draw a whole tune for each file and write it; a note says how many were drawn again.

    What has been written stays if a later tune cannot be drawn.
    """
    from charrnn.tasks.language.tunes import Drawn, whole_tunes

    drawn = Drawn()
    prompts = [job.prompts[number % len(job.prompts)] for number in range(job.count)]
    tunes = whole_tunes(model, prompts, job.params, job.constraints, drawn, job.stream)
    try:
        with activity("drawing tunes", total=len(files)) as report:
            for path, text in zip(files, tunes, strict=True):
                _write(path, rendered(text, path.suffix.lower(), tempo))
                report(1)
    finally:
        # Where there is no tune at all, the error says why.
        if drawn.tunes and drawn.note():
            terminal.note(drawn.note())
    where = files[0] if len(files) == 1 else f"{len(files):,} tunes in {files[0].parent}"
    terminal.say(f"wrote {where}")


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder {path.parent}: {error.strerror}", "give another --output"
        ) from None
    write_durably(path, [data])
