"""Where a transformer lies on the wafer: micro-batches, regions, rectangles and tiles.

microbatch   sequences that a pass of weight streaming takes, by memory
region       regions of pipelined mode and their memory
place        rectangles of regions
floorplan    a complete floor plan, and its wires
tiles        tiles of weight streaming
"""
