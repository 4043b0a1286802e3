// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule office_dde_command {
    meta:
        description = "Document or table that asks Office to start a command line through an old link function (DDE)."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1559/002/"
        false_positives = "Security manuals that show the trick."
    strings:
        $field = /\bDDE(AUTO)?\s{1,4}["\\]{0,3}[a-z0-9:\\\/._%-]{0,160}(cmd|powershell|mshta|rundll32|regsvr32|wscript|cscript)(\.exe)?\b/ ascii wide nocase
        $cell = /[=+@-](cmd|powershell|mshta|rundll32|regsvr32|msexcel)\s{0,2}\|\s{0,2}'[^'\r\n]{1,300}'\s{0,2}![a-z0-9]/ ascii wide nocase
    condition:
        filesize < 20MB and uint16(0) != 0x5A4D and any of them
}

rule office_template_from_network {
    meta:
        description = "Document that fetches its template from the network when it is opened; the template can bring macros."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1221/"
        false_positives = "Documents of companies that keep templates on a web server."
    strings:
        $rels = "relationships/attachedTemplate" nocase
        $target = /target\s{0,2}=\s{0,2}["'](https?:|\\\\|file:\/\/)[^"']{4,300}["']/ nocase
        $external = /targetmode\s{0,2}=\s{0,2}["']external["']/ nocase
        $rtf = /\{\\\*\\template\s{1,4}(https?:|\\\\\\\\)/ nocase
    condition:
        filesize < 20MB and (($rels and $target and $external) or (uint32be(0) == 0x7B5C7274 and $rtf))
}
