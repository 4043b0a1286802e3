"""Virtual disks: containers other than raw and EWF that hold a disk.

virtual.py  the media of a virtual disk, whatever its format
kinds.py    which container a file is, by its signature, and which are known and not read
disk.py     one reader over what dissect.hypervisor opens: bounded, cached, never short without saying so
qcow2.py, vmdk.py, vhd.py, vhdx.py, vdi.py   each format's own checks before anything is opened
"""
