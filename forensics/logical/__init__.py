"""Logical evidence: exhibits that hold files and not a disk. Each kind is listed as a filesystem is.

`open_logical` finds and opens the reader; `member` makes entries of members; `stated` compares what a container states of a content;
`unpacked` and `kept_file` keep what a compressed container holds; `collection` tells which tool collected the files; `reparse` where a
link of Windows leads.
Readers: `tar` (`tar_index`, `tar_headers`, `tar_sparse`), `zip`, `ad1` (`ad1_structure`), `l01`, `aff4_logical`, `wim` (`wim_structure`,
`wim_resource`, `wim_xpress`, `wim_lzx`, `wim_huffman`), `folder`, `archive` (what is read from front to back), `single` (one compressed
file).
"""
