"""The error tree and the exit codes.

CharRNNError                 1
├── StorageError             1   the system failed: disk full, permission, input or output
├── UsageError               2   an option or argument cannot be used
├── CorpusError              3   the text or data cannot be used
├── CheckpointError          4   the model file cannot be used
├── DivergedError            5   training diverged
├── RunLockedError           6   another process is training this run
├── MemoryLimitError         7   out of memory
└── InterruptedTraining    128 + signal number; the work is saved
"""

import errno

FORBIDDEN = frozenset(
    {
        errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR,
        errno.ENAMETOOLONG, errno.ELOOP,
    }
)  # fmt: skip
"""Numbers of system errors of writing that no free space helps against."""


def is_forbidden(error: OSError) -> bool:
    """Whether a place cannot be written to at all: read-only, forbidden, or not there."""
    return error.errno in FORBIDDEN


class CharRNNError(Exception):
    """An error that the user can act on: what went wrong, and what to do about it.

    The command line prints it as one line, `problem; remedy`, and exits with its class's code.
    is_reported: whether another process of the same training has said it.
    """

    exit_code = 1
    is_reported = False

    def __init__(self, problem: str, remedy: str) -> None:
        # `str` of the error is the whole line, so it reads the same in a traceback and in a log.
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


class StorageError(CharRNNError):
    """The system failed to read or write: disk full, no permission, a broken device."""

    exit_code = 1


class UsageError(CharRNNError):
    """An option or argument cannot be used."""

    exit_code = 2


class CorpusError(CharRNNError):
    """The text or data cannot be used: missing, empty, too short, or in another encoding."""

    exit_code = 3


class CheckpointError(CharRNNError):
    """The model file cannot be used: damaged, written by another program, or of a newer format."""

    exit_code = 4


class DivergedError(CharRNNError):
    """Training diverged: a loss, gradient or weight is no longer a finite number."""

    exit_code = 5


class RunLockedError(CharRNNError):
    """Another process holds the run's lock."""

    exit_code = 6


class MemoryLimitError(CharRNNError):
    """There is not enough memory."""

    exit_code = 7


class InterruptedTraining(CharRNNError):  # noqa: N818 - not a failure: the work is saved
    """A signal stopped the training, after its work was saved.

    The exit code is 128 + the signal's number, as a shell reports it: 130 for Ctrl-C.
    """

    def __init__(self, signal_number: int, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.exit_code = 128 + signal_number
