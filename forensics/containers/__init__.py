"""Virtual disks: containers other than raw and EWF that hold a disk.

virtual.py        the media of a virtual disk, whatever its format
kinds.py          which container a file is, by its signature, and which are known and not read
beside.py         the file behind a name that an image states: in the exhibit's own folder, or none
lineage.py        a disk and the disks it stands on: no loops, not too deep
disk.py           one reader over every virtual disk: bounded, cached, never short without saying so
sector_bitmap.py  which sectors of a block are a disk's own and which its parent's
qcow2.py, vmdk.py (vmdk_descriptor.py, vmdk_extents.py), vhd.py, vhdx.py (vhdx_tables.py), vdi.py,
parallels.py (parallels_descriptor.py), asif.py   each format: what is checked, where its blocks lie, which files it needs
"""
