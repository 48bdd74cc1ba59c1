"""Intermediate representation and its passes."""
