"""Transformers onto the wafer: what runs where, how large, and what it costs.

microbatch.choose(model, ...)       sequences that a pass of weight streaming takes, by memory
region, place, floorplan            pipelined mode: regions, rectangles, wires
compiler                            costs calibrated on the vendor's compiler
cost                                costs fitted to executed runs of this package's kernels
"""
