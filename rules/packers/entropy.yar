// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

import "math"

rule packer_random_code {
    meta:
        description = "Windows program whose program code looks like random bytes: it is packed or encrypted and unpacks itself when it runs."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "low"
        reference = "https://attack.mitre.org/techniques/T1027/002/"
        false_positives = "Installers, games and programs that are protected against copying."
    condition:
        uint16(0) == 0x5A4D and filesize < 50MB and uint32(uint32(0x3C)) == 0x4550
                and uint16(uint32(0x3C) + 6) > 0 and uint16(uint32(0x3C) + 6) < 32
                and for any i in (0..uint16(uint32(0x3C) + 6) - 1) : (
                    // A section header has 40 bytes: raw size at 16, raw offset at 20, characteristics at 36 (0x20000000: executable).
                    uint32(uint32(0x3C) + 24 + uint16(uint32(0x3C) + 20) + 40 * i + 36) & 0x20000000 != 0
                    and uint32(uint32(0x3C) + 24 + uint16(uint32(0x3C) + 20) + 40 * i + 16) >= 16384
                    and math.entropy(
                        uint32(uint32(0x3C) + 24 + uint16(uint32(0x3C) + 20) + 40 * i + 20),
                        uint32(uint32(0x3C) + 24 + uint16(uint32(0x3C) + 20) + 40 * i + 16)
                    ) > 7.6
                )
}
