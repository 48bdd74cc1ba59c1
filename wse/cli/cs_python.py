"""`python -m wse.cli.cs_python FILE ARGUMENTS`: the command cs_python, as `python -m wse.cli.cslc` is cslc."""

from ..sdk.interpreter import environment, main

__all__ = ["environment", "main"]

if __name__ == "__main__":
    main()
