"""`python -m wse.cli`: the same as `python -m wse`."""

from ..start import wse

if __name__ == "__main__":
    wse()
