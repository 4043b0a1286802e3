"""Who did what to which exhibit, when, with what: a signed, chained log that anyone can check without Evidex.

FORMAT.md states the bytes. Nothing here imports the rest of Evidex.
"""
