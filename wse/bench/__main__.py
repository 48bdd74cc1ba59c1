"""python -m wse.bench JOB: run one case in this process; runner.py starts it."""

import sys

from .runner import child

child(sys.argv[1])
