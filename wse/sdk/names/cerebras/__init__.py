"""The names of the Cerebras SDK that host programs import, for the emulator; only cs_python puts them on the path."""

from wse import bug

bug.watch()
