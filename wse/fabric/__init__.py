"""A loaded machine and what a run of it measured.

fabric      Fabric: load a program, attach streams, run, measure
copies      host copies: arrays and bytes of PEs' memories
stream      wavelet streams at the edge of the grid
snapshot    Snapshot: the state of a fabric, in memory or in a file
timeline    Timeline: a fabric at any cycle of its run
run         Run: cycles, counters and arrays of a run; saves to one file
errors      RunError, FabricFault, DeadlockError
diagnosis   sentences for faults and deadlocks
"""

from .fabric import Fabric
from .run import Run
from .snapshot import Snapshot
from .stream import Segment, StreamIn, StreamOut
from .timeline import Timeline

__all__ = ["Fabric", "Run", "Segment", "Snapshot", "StreamIn", "StreamOut", "Timeline"]
