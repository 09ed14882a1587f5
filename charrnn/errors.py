"""The error tree. It knows exit codes and wording; it does not know who raises what.

CharRNNError                 1
├── StorageError             1   the system failed: disk full, permission, input or output
├── UsageError               2   an option or argument cannot be used
├── CorpusError              3   the text cannot be used
├── CheckpointError          4   the model file cannot be used
├── DivergedError            5   training diverged
├── RunLockedError           6   another process is training this run
├── MemoryLimitError         7   out of memory
└── InterruptedTraining    128 + signal number; the work is saved
"""


class CharRNNError(Exception):
    """A mistake or failure that a person can act on: what happened, and what to do about it.

    Printed as one line, `problem; remedy`. The exit code belongs to the class.
    """

    exit_code = 1

    def __init__(self, problem: str, remedy: str) -> None:
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
    """The text cannot be used: missing, empty, too short, or not in the stated encoding."""

    exit_code = 3


class CheckpointError(CharRNNError):
    """The model file cannot be used: damaged, foreign, or of another format number."""

    exit_code = 4


class DivergedError(CharRNNError):
    """Training produced a loss or a gradient that is not a number."""

    exit_code = 5


class RunLockedError(CharRNNError):
    """Another process holds the run's lock."""

    exit_code = 6


class MemoryLimitError(CharRNNError):
    """The machine's memory does not hold what was asked for."""

    exit_code = 7


class InterruptedTraining(CharRNNError):  # noqa: N818 - nothing went wrong: the work is saved
    """A signal stopped the training after its work was saved.

    The exit code is 128 + the signal's number, as a shell reports it: 130 for Ctrl-C.
    """

    def __init__(self, signal_number: int, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.exit_code = 128 + signal_number
