"""What lies between a volume and its filesystem: encryption, logical volumes, arrays, snapshots.

One layer a file; base.py says what a layer gives, all_layers.py lists them.
"""
