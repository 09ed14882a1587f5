"""What every test starts from: one processor thread, so that sums are taken in one order."""

import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shell import Shell, sentences


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Torch on one thread for this test, where the test uses torch at all."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    device = sys.modules.get("charrnn.models.device")
    if device:
        # A number that the training of an earlier test set must not change a plan of this one.
        device._THREADS.own = device._THREADS.foreign = 0
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def heard() -> None:
    """Ctrl-C and the hang-up as a terminal has them.

    A shell lets what it starts in the background ignore the one, and nohup the other.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def no_calibration() -> None:
    """A training that a test asks for is planned without measuring this machine for seconds."""
    if "torch" in sys.modules:
        from charrnn.training.planner import calibration

        calibration.CALIBRATION_SECONDS = 0.0


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder to run commands in, with a text to learn and no run yet."""
    shell = Shell(tmp_path)
    shell.write("corpus.txt", sentences())
    return shell


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with one run of 20 steps, checkpoints at 15 and 20; for tests that change nothing.

    Its validation part was read at step 10 and at step 20.
    """
    shell = Shell(tmp_path_factory.mktemp("trained"))
    shell.write("corpus.txt", sentences())
    cadence = ("--save-every", "5", "--eval-every", "10", "--keep", "2")
    shell.train("corpus.txt", "--steps", "20", *cadence, "--quiet").succeeded()
    return shell


@pytest.fixture
def copied(trained: Shell, tmp_path: Path) -> Shell:
    """A copy of the trained folder, for tests that change it."""
    shutil.copytree(trained.folder, tmp_path / "copy")
    return Shell(tmp_path / "copy")
