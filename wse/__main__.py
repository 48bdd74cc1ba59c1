"""`python -m wse`: the command `wse`."""

from .start import wse

if __name__ == "__main__":
    wse()
