"""What a disk holds: images, volumes, filesystems, contents, artifacts. The words are in GLOSSARY.md.

exhibit.py, image.py, ewf.py   an exhibit's files -> one read-only, seekable image
volumes.py                     image -> volumes and gaps that tile it
filesystems/                   volume -> entries and their streams, one reader a file
content.py                     one pass over one stream -> digests, type, entropy, YARA hits
artifacts/                     dissect functions -> typed tables
schema.py, errors.py           every output column; every way of failing
"""
