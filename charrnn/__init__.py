"""charrnn turns a text file into a recurrent language model and the model back into text.

From Python, `charrnn.training.train` learns and `charrnn.generation.generate` writes; the command
line in `charrnn.cli` is a skin over them. This file imports nothing, so that every command starts
at once.
"""

__version__ = "0.1.0"
