"""MemoryX: the memory that holds a model's weights and streams them to the wafer.

    rounding.py    float32 to 16-bit formats, to nearest or stochastically
    optimizer.py   SGD with momentum and AdamW on its processors
    store.py       weights, gradients and optimiser state in mapped files

Optimisers and store compute what a machine's MemoryX computes.
"""
