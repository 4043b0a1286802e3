"""Small disk images made from stated content, each with what an independent tool says about it.

stated.py        what goes into an image: names, bytes, times
commands.py      runs the outside tools; mounts; partition tables
ntfs_mbr.py, gpt_fat32_ext4.py, …   one sample a module: `build(folder)`
oracles.py       fls, icat, mmls, fsstat, ewfinfo -> expected rows; never Evidex
make_samples.py  builds the images, or with --expected regenerates what is expected of them
"""
