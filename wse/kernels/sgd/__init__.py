"""Stochastic gradient descent of a multilayer perceptron, wholly on the fabric.

kernel      parameters, data and the run
net         shapes, initial weights, layout on the grid
program     the program of the PEs
reference   the same arithmetic in NumPy
"""
