// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule packer_upx_linux {
    meta:
        description = "Linux program packed with UPX, so that its real content is hidden until it runs."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1027/002/"
        false_positives = "Some honest programs are packed to save space."
    strings:
        $mark = "UPX!"
    condition:
        uint32be(0) == 0x7F454C46 and $mark in (0..1024)
}
