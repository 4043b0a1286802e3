"""Traces that mean something: dissect's functions mapped to typed tables, and which profile runs which.

functions.py       profile and operating system -> names of functions
dissect_source.py  image -> what dissect sees, and one function ready to run     [dissect.target]
corrections.py     what dissect.target gets wrong, put right on the plugin
ntfs_names.py      names in NTFS folders, looked up once                          [dissect.ntfs]
boundary.py        where code of third parties may raise anything
remarks.py         what dissect logs -> a bounded number of problems
values.py          field types of records -> Arrow types and values
spool.py           rows of any shape -> one temporary file
layout.py          shapes of the records -> columns of the table
mapper.py          spooled rows -> sorted rows of the table
reader.py          one function -> one ArtifactTable
"""
