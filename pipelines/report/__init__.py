"""The report a case officer reads: static HTML made from a run's tables and its custody log alone."""
