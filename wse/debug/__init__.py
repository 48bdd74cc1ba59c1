"""The debugger of compiled CSL programs: stops, steps in both directions, the state of PEs by the names of the source.

host.py lets a host program run under it; debugger.py moves the fabric and knows where it stands; shell.py has the
commands of `wse debug`, protocol.py the Debug Adapter Protocol.
"""
