"""What `python -m charrnn` runs, and so what `torchrun -m charrnn train ...` runs."""

from charrnn.cli.entry import run

if __name__ == "__main__":
    run()
