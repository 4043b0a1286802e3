"""TSK's types of names and of metadata -> what an entry is."""

from __future__ import annotations

from typing import Any

import pytsk3

from forensics.filesystems.base import Kind

_KIND_OF_META = {
    int(pytsk3.TSK_FS_META_TYPE_REG): Kind.FILE,
    int(pytsk3.TSK_FS_META_TYPE_DIR): Kind.DIRECTORY,
    int(pytsk3.TSK_FS_META_TYPE_FIFO): Kind.FIFO,
    int(pytsk3.TSK_FS_META_TYPE_CHR): Kind.CHARACTER_DEVICE,
    int(pytsk3.TSK_FS_META_TYPE_BLK): Kind.BLOCK_DEVICE,
    int(pytsk3.TSK_FS_META_TYPE_LNK): Kind.LINK,
    int(pytsk3.TSK_FS_META_TYPE_SOCK): Kind.SOCKET,
    int(pytsk3.TSK_FS_META_TYPE_VIRT): Kind.VIRTUAL,
    int(pytsk3.TSK_FS_META_TYPE_VIRT_DIR): Kind.VIRTUAL,
}
_KIND_OF_NAME = {
    int(pytsk3.TSK_FS_NAME_TYPE_REG): Kind.FILE,
    int(pytsk3.TSK_FS_NAME_TYPE_DIR): Kind.DIRECTORY,
    int(pytsk3.TSK_FS_NAME_TYPE_FIFO): Kind.FIFO,
    int(pytsk3.TSK_FS_NAME_TYPE_CHR): Kind.CHARACTER_DEVICE,
    int(pytsk3.TSK_FS_NAME_TYPE_BLK): Kind.BLOCK_DEVICE,
    int(pytsk3.TSK_FS_NAME_TYPE_LNK): Kind.LINK,
    int(pytsk3.TSK_FS_NAME_TYPE_SOCK): Kind.SOCKET,
    int(pytsk3.TSK_FS_NAME_TYPE_VIRT): Kind.VIRTUAL,
    int(pytsk3.TSK_FS_NAME_TYPE_VIRT_DIR): Kind.VIRTUAL,
}


def kind_of(name: Any, meta: Any) -> Kind:
    """What an entry is: by its metadata where it has some and they say it, else by its name; either may be None."""
    kind = _KIND_OF_META.get(int(meta.type)) if meta is not None else None
    if kind is None and name is not None:
        kind = _KIND_OF_NAME.get(int(name.type))
    return kind or Kind.UNKNOWN
