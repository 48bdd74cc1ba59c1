"""Training of a transformer on the emulated wafer: text, loop, loss scaling, checkpoints, and a PyTorch reference.

data         text as character ids; the batches of a step
scaler       dynamic loss scaling, against underflow of 16-bit gradients
loop         a step: passes on the fabric, clipping, update, report
checkpoint   saving a run to files and resuming it bit for bit
reference    the same graph and run in PyTorch, in float32
"""
