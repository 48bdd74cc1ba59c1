"""MemoryX: the memory that holds a model's weights, streams them to the wafer and updates them.

    ddr5.py        share of a DDR5 channel's peak bandwidth, by the order of accesses
    network.py     Ethernet to the wafer, and the SwarmX tree
    system.py      MemoryX: nodes, channels and network, from flags, a size or a file
    feeder.py      arrival times of weights at the wafer's edge, and the causes of waiting
    rounding.py    float32 to 16-bit formats, to nearest or stochastically
    optimizer.py   SGD with momentum and AdamW on MemoryX's processors
    store.py       weights, gradients and optimiser state in mapped files

Optimisers and store execute the computation of a MemoryX; its times are modelled.
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
