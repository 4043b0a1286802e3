// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule office_rtf_equation_exploit {
    meta:
        description = "RTF document with an object of the old equation editor, through which opening the document starts a program (CVE-2017-11882)."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://nvd.nist.gov/vuln/detail/CVE-2017-11882"
        false_positives = "Real formulas made with Word before 2007."
    strings:
        $object1 = "\\objdata" nocase
        $object2 = "\\objupdate" nocase
        $class = "4571756174696f6e2e33" nocase
        $clsid = "02ce020000000000c000000000000046" nocase
        $plain = "Equation.3" nocase
    condition:
        uint32be(0) == 0x7B5C7274 and filesize < 20MB and 1 of ($object*) and ($clsid or $class or $plain)
}

rule office_rtf_embedded_program {
    meta:
        description = "RTF document that carries a program or script which a click on its picture starts."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1204/002/"
        false_positives = "Documents with attachments of administrators."
    strings:
        $object = "\\objdata" nocase
        $package = "5061636b616765" nocase
        $type1 = "2e65786500" nocase
        $type2 = "2e73637400" nocase
        $type3 = "2e76627300" nocase
        $type4 = "2e6a7300" nocase
        $type5 = "2e62617400" nocase
        $type6 = "2e70733100" nocase
        $type7 = "2e68746100" nocase
        $type8 = "2e6c6e6b00" nocase
    condition:
        uint32be(0) == 0x7B5C7274 and filesize < 50MB and $object and $package and 1 of ($type*)
}
