"""Reading a checkpoint: whole with its training state, and its header alone."""

from charrnn.checkpoints import checkpoint
from tests.fuzz.harness import FOLDER, resealed, unsealed
from tests.support.tiny import smallest_checkpoint

PATH = FOLDER / "step-000000003.safetensors"


def seeds() -> list[bytes]:
    """Checkpoints of each tokenizer and cell, whole and slim; one as a file under its own seal."""
    made = [smallest_checkpoint(tokenizer=name) for name in ("char", "word", "byte", "subword")]
    made += [smallest_checkpoint(cell=cell, num_layers=2, valid=1.5) for cell in ("gru", "lstm")]
    made.append(smallest_checkpoint(training=False, tie_weights=True))
    files = []
    for model in made:
        checkpoint.save(model, PATH)
        files.append(PATH.read_bytes())
    return [*map(unsealed, files), files[0]]


def read(data: bytes) -> None:
    """Read it as `list`, `sample` and `--resume` do; what is accepted can be saved again."""
    PATH.write_bytes(resealed(data))
    checkpoint.read_info(PATH)
    model = checkpoint.load(PATH)
    checkpoint.save(model, FOLDER / "again.safetensors")
    checkpoint.load(PATH, training=True)
