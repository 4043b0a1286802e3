"""Small disk images made from stated content, each with what an independent tool says about it.

stated.py         what goes into an image: names, bytes, times
commands.py       runs the outside tools; mounts; partition tables
ntfs_mbr.py, gpt_fat32_ext4.py, ewf_split.py, exfat.py, iso.py, windows.py, linux.py: one sample a module: `build(folder, work)`
regf.py, evtx.py, windows_files.py  own writers of registry hives, event logs, prefetch files, shortcuts, recycle bin, databases
windows_hives.py, windows_artifacts.py  what the hives hold, and the artifact rows that must come out
suspicious.py     inert fragments that YARA rules look for, built from pieces
oracles.py, istat.py  what fls, icat, istat, mmls, fsstat, ewfverify and yara say, as expected rows; never Evidex
make_samples.py   builds the images, or with --expected regenerates what is expected of them
"""
