"""Logical evidence: exhibits that hold files and not a disk. Each kind is listed as a filesystem is.

`open_logical` finds and opens the reader; `member` makes entries of members; `stated` compares what a container states of a content;
`unpacked` keeps a compressed container unpacked; `collection` tells which tool collected the files.
Readers: `tar` (with `tar_headers`, `tar_index`), `zip` (`zip_directory`, `zip_stream`), `ad1` (`ad1_structure`), `l01`,
`aff4_logical` (`turtle`), `wim` (`wim_structure`, `wim_resource`), `folder`, `single` (one compressed file).
"""
