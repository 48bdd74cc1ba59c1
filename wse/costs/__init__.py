"""Cost models of operators, the runs they are fitted to, and their errors.

fit               constants of a cost model, fitted to executed runs
recorded          the kernels that have a cost model, and their recorded runs
kernels           cost models of single kernels: products and all-reduces
operators         the cost of each operator of a transformer layer
cycles            cycles of an operator at a tile shape
vendor_compiler   costs calibrated on a published compilation of the vendor's compiler
step_check        a step's modelled cycles against its executed ones
knee              the crossover between compute-bound and bandwidth-bound passes
wafer             speed of whole-wafer kernels
calibrate         efficiency of the vendor's kernels, from published CS-2 runs
"""
