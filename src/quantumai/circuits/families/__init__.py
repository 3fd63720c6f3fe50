"""Seeded circuit families: the circuits on which policies and methods are measured.

The observables of a family are fixed before any ideal value is seen.
"""
