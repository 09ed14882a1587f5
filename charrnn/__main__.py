"""What `python -m charrnn` runs, and so what `torchrun -m charrnn train ...` runs."""

from charrnn.cli.main import run

if __name__ == "__main__":
    run()
