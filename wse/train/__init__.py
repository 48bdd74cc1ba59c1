"""Training a transformer on the emulated wafer: text, loop, loss scaling, checkpoints, and the same run in PyTorch.

data         text as ids of its characters; which tokens a step sees
scaler       what keeps 16-bit gradients from underflow
loop         a step: passes over the fabric, clipping, update; what is reported
checkpoint   a run as files, resumed to the bit
reference    the same graph and run in PyTorch, in float32
"""
