"""Traces that mean something: dissect's functions mapped to typed tables, and which profile runs which."""
