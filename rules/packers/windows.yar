// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule packer_upx {
    meta:
        description = "Windows program packed with UPX, so that its real content is hidden until it runs."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1027/002/"
        false_positives = "Many honest programs are packed to save space."
    strings:
        $first = "UPX0\x00\x00\x00\x00"
        $second = "UPX1\x00\x00\x00\x00"
        $mark = "UPX!"
    condition:
        uint16(0) == 0x5A4D and $first in (0..4096) and $second in (0..4096) and $mark in (0..8192)
}

rule packer_upx_renamed {
    meta:
        description = "Windows program packed with UPX whose marks were changed afterwards, so that the usual unpacker refuses it."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1027/002/"
        false_positives = "Hardly any; the start of the unpacker is that of UPX."
    strings:
        $section = "UPX0\x00\x00\x00\x00"
        $mark = "UPX!"
        $stub32 = { 60 BE ?? ?? ?? ?? 8D BE ?? ?? ?? FF 57 (83 CD FF | EB) }
    condition:
        uint16(0) == 0x5A4D and filesize < 50MB and uint32(uint32(0x3C)) == 0x4550
                and $stub32 and not ($section in (0..4096) and $mark in (0..8192))
                and uint32(uint32(0x3C) + 24 + uint16(uint32(0x3C) + 20) + 16) == 0
}

rule packer_mpress {
    meta:
        description = "Windows program packed with MPRESS, so that its real content is hidden until it runs."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1027/002/"
        false_positives = "Honest programs packed to save space."
    strings:
        $first = ".MPRESS1"
        $second = ".MPRESS2"
    condition:
        uint16(0) == 0x5A4D and $first in (0..4096) and $second in (0..4096)
}

rule packer_themida {
    meta:
        description = "Windows program protected with Themida or WinLicense against being examined."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1027/002/"
        false_positives = "Games and paid programs use it against copying."
    strings:
        $themida = ".themida"
        $winlicense = ".winlice"
        $boot = ".boot\x00\x00\x00"
    condition:
        uint16(0) == 0x5A4D and (($themida in (0..4096) and $boot in (0..4096)) or $winlicense in (0..4096))
}

rule packer_vmprotect {
    meta:
        description = "Windows program protected with VMProtect against being examined."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1027/002/"
        false_positives = "Games and paid programs use it against copying."
    strings:
        $first = ".vmp0\x00\x00\x00"
        $second = ".vmp1\x00\x00\x00"
    condition:
        uint16(0) == 0x5A4D and $first in (0..4096) and $second in (0..4096)
}

rule packer_aspack {
    meta:
        description = "Windows program packed with ASPack, so that its real content is hidden until it runs."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1027/002/"
        false_positives = "Older honest programs packed to save space."
    strings:
        $first = ".aspack\x00"
        $second = ".adata\x00\x00"
    condition:
        uint16(0) == 0x5A4D and $first in (0..4096) and $second in (0..4096)
}

rule packer_enigma {
    meta:
        description = "Windows program protected with Enigma against being examined."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1027/002/"
        false_positives = "Paid programs use it against copying."
    strings:
        $first = ".enigma1"
        $second = ".enigma2"
    condition:
        uint16(0) == 0x5A4D and $first in (0..4096) and $second in (0..4096)
}
