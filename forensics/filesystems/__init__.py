"""One filesystem reader a file, behind the protocol in base.py."""
