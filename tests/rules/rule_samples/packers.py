import struct

from rule_samples.building import Sample, elf, noise, pe, text

_CODE = 0x60000020
_DATA = 0xC0000040
_UNPACKER = bytes.fromhex("60be00104000") + bytes.fromhex("8dbe0000ffff") + bytes.fromhex("5783cdff")


def _named(*names: str) -> bytes:
    return pe(*((name, _CODE, bytes(64)) for name in names))


SAMPLES = (
    Sample(
        rule="packer_upx",
        hit=pe(("UP^X0".replace("^", ""), _CODE, b""), ("UP^X1".replace("^", ""), _CODE, bytes(64)), tail=text("UP^X!")),
        near_miss=pe((".text", _CODE, bytes(64)), tail=text("UP^X! UP^X0 UP^X1") + bytes(8)),
    ),
    Sample(
        rule="packer_upx_renamed",
        hit=pe(("one", _CODE, b""), ("two", _CODE, _UNPACKER + bytes(64))),
        near_miss=pe(("one", _CODE, bytes(64)), ("two", _CODE, _UNPACKER + bytes(64))),
    ),
    Sample(
        rule="packer_mpress", hit=_named(".MPRE^SS1".replace("^", ""), ".MPRE^SS2".replace("^", "")), near_miss=_named(".MPRESS1", ".text")
    ),
    Sample(rule="packer_themida", hit=_named(".themida", ".boot"), near_miss=_named(".text", ".boot")),
    Sample(rule="packer_vmprotect", hit=_named(".vmp0", ".vmp1"), near_miss=_named(".vmp0", ".text")),
    Sample(rule="packer_aspack", hit=_named(".aspack", ".adata"), near_miss=_named(".text", ".adata")),
    Sample(rule="packer_enigma", hit=_named(".enigma1", ".enigma2"), near_miss=_named(".enigma1", ".text")),
    Sample(
        rule="packer_random_code",
        hit=pe((".data", _DATA, bytes(512)), (".text", _CODE, noise(16384))),
        near_miss=pe((".text", _CODE, struct.pack("<I", 0x90C3FFFF) * 4096), (".rsrc", _DATA, noise(16384))),
    ),
    Sample(rule="packer_upx_linux", hit=elf(text("UP^X!")), near_miss=elf(bytes(1024) + text("UP^X! is looked for here"))),
)
