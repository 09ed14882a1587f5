"""Where the program begins: a shell that completes a line is answered before anything is loaded."""

import os
import sys
from typing import NoReturn


def run() -> NoReturn:
    """Answer a shell, or run the command of the command line; exit with its code."""
    # The name is that of `completion`, which need not be loaded to know that none asks.
    if "_CHARRNN_COMPLETE" in os.environ and sys.stdout is not None:
        from charrnn.cli.completion import answer

        if (found := answer(os.environ)) is not None:
            sys.stdout.write(found[0])
            sys.stdout.flush()
            sys.exit(found[1])
    from charrnn.cli import main

    main.run()
