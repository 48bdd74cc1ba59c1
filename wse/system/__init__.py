"""Models of whole systems (MemoryX, SwarmX and wafers): the time of a training step and what bounds it.

    parts        components of a cluster, figures with sources
    workload     operations and bytes of a step
    analytic     the step as a formula
    events       the step, event by event
    stations     its processes, buffers and memory, in compiled code
    predict      tables with intervals; the mechanisms of imperfect scaling, one at a time
    capacity     whether a model fits
    gpu          the same job on GPUs
    inference    decoding with weights in SRAM
    check        published runs against the model

All of it is modelled.
"""
