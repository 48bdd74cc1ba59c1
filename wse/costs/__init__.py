"""Cost models of operators: what they are fitted to, and how far off they are.

fit               costs fitted to executed runs of this package's kernels
operators         the cost of each operator of a transformer layer
cycles            cycles of an operator at a tile shape
vendor_compiler   costs calibrated on a published compilation of the vendor's compiler
step_check        a step's modelled cycles against its executed ones
knee              the crossover between compute-bound and bandwidth-bound passes
wafer             speed of whole-wafer kernels
calibrate         efficiency of the vendor's kernels, from published CS-2 runs
"""
