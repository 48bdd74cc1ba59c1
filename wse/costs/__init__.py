"""Cost models of operators, the runs they are fitted to, and their errors.

fit               cost models and their constants, fitted to executed runs
recorded          all cost models, and their recorded runs
kernels           cost models of single kernels: matrix-vector products and all-reduces
operators         cost models of the operators of a transformer
cycles            cycles of an operator at a tile shape
vendor_compiler   costs calibrated on a published compilation of the vendor's compiler
step_check        modelled and executed cycles of a training step
knee              the crossover between compute-bound and bandwidth-bound passes
wafer             compute times of a whole wafer
calibrate         efficiency of the vendor's kernels, from published CS-2 runs
"""
