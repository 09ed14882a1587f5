"""`python -m charrnn`, and so `torchrun -m charrnn train ...`."""

from charrnn.cli.main import run

if __name__ == "__main__":
    run()
