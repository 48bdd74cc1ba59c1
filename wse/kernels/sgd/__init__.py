"""Training of a multilayer perceptron by stochastic gradient descent, entirely on the fabric.

kernel      parameters, data set and execution
net         shapes, packing of weights and samples, layout on the grid
program     the program of the PEs
reference   the reference models in NumPy
"""
