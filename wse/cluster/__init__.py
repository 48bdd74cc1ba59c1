"""Whole systems: MemoryX, SwarmX, wafers; how long a step takes and what bounds it.

    parts        what a cluster is made of, figures with sources
    workload     what a step asks of it
    calibrate    how fast the vendor's kernels are, from published CS-2 runs
    closed       the step in closed form
    events       the step event by event (SimPy)
    predict      tables with intervals; why scaling is not perfect, one mechanism at a time
    capacity     whether a model fits
    gpu          what GPUs would be needed

    workers      worker processes: a Dask cluster
    parallel     one training run on several emulated wafers

All but the last two is modelled; what `parallel` runs is executed on emulated fabrics.
"""
