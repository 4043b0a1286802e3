"""Files inside files: archives, compressed files, e-mail, documents.

One kind a file; base.py says what a kind gives, kinds.py lists them, walk.py goes through them within bounds.
"""
