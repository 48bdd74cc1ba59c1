"""Pass 2, semantics: resolves names, evaluates what is known at compile time, checks types, lowers the rest to IR.

Handlers of syntax nodes register themselves in `frame` by the class of the node, so that no module has to import all
others.  From the ground up:

types, values       types; values at compile time, lvalues and values at run time
convert, arith      conversions and folding of operators
frame               the evaluator's state: scopes, the builder of run-time code, the registry of handlers
conditions, lvalues, exprs, stmts, switches, loops, batch, calls
modules, unit       module instances; everything compiled for one class of PEs
memory              initial memory of variables
"""
