"""Which blocks of a filesystem are unallocated, by its own bitmaps: block_map.py says what each kind of filesystem gives."""
