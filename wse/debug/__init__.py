"""The debugger of compiled CSL programs: breakpoints, steps forward and backward, the state of PEs.

host         runs a host program under the debugger
debugger     stops, and motions forward and backward
breakpoint   a breakpoint and its name in messages
history      moves a fabric to any earlier cycle of its run
lines        places in the source, and their instructions
values       variables and expressions
views        the state of a PE as text
shell        the commands of `wse debug`
protocol     the Debug Adapter Protocol
"""
