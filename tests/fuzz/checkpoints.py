"""Reading a checkpoint of either format: complete, without training state, its header alone."""

from charrnn.checkpoints import checkpoint
from tests.fuzz.harness import FOLDER, to_file, to_input
from tests.support import forge
from tests.support.tiny import smallest_checkpoint

PATH = FOLDER / "step-000000003.safetensors"


def seeds() -> list[bytes]:
    """Checkpoints of each tokenizer and cell, with and without training state; a complete file."""
    made = [smallest_checkpoint(tokenizer=name) for name in ("char", "word", "byte", "subword")]
    made += [smallest_checkpoint(cell=cell, num_layers=2, valid=1.5) for cell in ("gru", "lstm")]
    made.append(smallest_checkpoint(training=False, tie_weights=True))
    files = []
    for model in made:
        checkpoint.save(model, PATH)
        files.append(PATH.read_bytes())
    PATH.write_bytes(files[0])
    format_2 = forge.as_format_2(forge.draft(PATH)).sealed()
    return [*map(to_input, files), to_input(format_2), files[0]]


def read(data: bytes) -> None:
    """Read it as `list`, `sample` and `--resume` do; what is accepted can be saved again."""
    PATH.write_bytes(to_file(data))
    with forge.other_task():
        checkpoint.read_info(PATH)
        model = checkpoint.load(PATH)
        checkpoint.save(model, FOLDER / "again.safetensors")
        checkpoint.load(PATH, training=True)
