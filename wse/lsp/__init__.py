"""The language server for CSL: what editors show while a program is written.

    sources   texts, those that are open before those on disk, and their trees
    project   the files of a workspace: which layout a file belongs to, and what it is compiled with
    analysis  the compiler's front end over a program that may be half written
    view      what stands at a place: its declaration, its type, its value
    hover, completion, signatures, navigation, renaming, outline, hints, colouring
              one request of the protocol each; offsets in, offsets out
    server    the protocol: positions, requests, diagnostics; the only file that imports pygls

Nothing of CSL is defined here a second time: names, types, values and builtins are those of wse.csl.
"""
