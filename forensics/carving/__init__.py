"""Files found by their structure where no filesystem names them.

One kind a file; base.py says what a kind gives, kinds.py lists them, carver.py looks for all of them in one pass.
"""
