"""Runs the floors below over an exhibit, in parallel, and writes what came out: tables, log, report."""
