"""Training steps executed on emulated fabrics.

schedule    the sequence of operators of a step
emitter     operators of a schedule as code of a region
execution   loading, feeding and reading a scheduled program
streaming   weight streaming: one region, weights from MemoryX
pipelined   pipelined mode: a region per stage, weights resident
handover    transfer of activations between regions
widths      regions of different widths
systems     one training run on several emulated wafers
workers     worker processes (a Dask cluster)
"""
