"""python -m wse.bench JOB: one case, in this process; see runner."""

import sys

from .runner import child

child(sys.argv[1])
