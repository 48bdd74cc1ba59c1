"""Checks a commit message: `area: imperative subject` of at most 72 characters, then an empty line.

python .ci/commit_subject.py FILE        FILE holds the message, as git passes it to the hook commit-msg
"""

import re
import sys
from pathlib import Path

LONGEST = 72


def complaint(message: str) -> str | None:
    """What is wrong with a message, or None."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject = lines[0] if lines else ""
    if subject.startswith(("Merge ", "Revert ", "fixup! ", "squash! ")):
        return None
    if len(subject) > LONGEST:
        return f"the subject has {len(subject)} characters, at most {LONGEST} are allowed: {subject}"
    if not re.match(r"[a-z][a-z0-9_./ -]*: \S", subject):
        return f"the subject must begin with its area, as in `router: fix the tie-break of inputs`: {subject!r}"
    if subject.endswith("."):
        return f"the subject must not end with a full stop: {subject}"
    if len(lines) > 1 and lines[1].strip():
        return f"the second line must be empty: {lines[1]!r}"
    return None


if __name__ == "__main__":
    why = complaint(Path(sys.argv[1]).read_text())
    if why:
        sys.exit(f"error: {why}")
