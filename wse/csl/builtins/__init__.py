"""Builtin functions of the language, by kind."""
