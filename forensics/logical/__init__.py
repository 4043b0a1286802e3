"""Logical evidence: exhibits that hold files instead of a disk. One kind a file; each lists like a filesystem."""
