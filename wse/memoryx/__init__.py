"""MemoryX: the memory that holds a model's weights, streams them to the wafer and updates them.

    ddr5.py        what a channel of DDR5 gets of its peak, by the order of accesses
    network.py     Ethernet to the wafer
    system.py      nodes, channels, network: a MemoryX from flags or a file
    feeder.py      when weights reach the wafer's edge, and what the wafer waited for
    rounding.py    float32 to 16-bit formats, to nearest or stochastically
    optimizer.py   SGD with momentum and AdamW on its processors
    store.py       weights, gradients and optimiser state in mapped files

Optimisers and store compute what a machine's MemoryX computes; its times are modelled.
"""

from .ddr5 import Ddr5
from .feeder import Feeder, Plan, Stalls, Transfer, account
from .network import Network
from .optimizer import OPTIMIZERS, SGD, AdamW, Optimizer, measure
from .store import Store
from .system import MemoryX

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "AdamW",
    "Ddr5",
    "Feeder",
    "MemoryX",
    "Network",
    "Optimizer",
    "Plan",
    "Stalls",
    "Store",
    "Transfer",
    "account",
    "measure",
]
