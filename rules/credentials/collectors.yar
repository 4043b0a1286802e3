// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule credentials_lazagne {
    meta:
        description = "The program LaZagne or its output: it collects the passwords stored in browsers, mail programs and Windows."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1555/"
        false_positives = "Security manuals; copies kept by security teams."
    strings:
        $name1 = "The LaZagne Project" ascii wide
        $name2 = "! BANG BANG !" ascii wide
        $found1 = "Password found !!!" ascii wide
        $found2 = "Hash found !!!" ascii wide
        $code = "lazagne.config" ascii
    condition:
        filesize < 100MB and (all of ($name*) or (1 of ($name*) and 1 of ($found*)) or ($code and 1 of ($found*)))
}

rule credentials_stealer_log {
    meta:
        description = "List of web addresses with user names and passwords in the form that password-stealing programs write."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1555/003/"
        false_positives = "Text exports of a person's own password manager."
    strings:
        $entry1 = /URL: {0,8}https?:\/\/[^\r\n]{4,300}\r?\n(Username|USER|Login): {0,8}[^\r\n]{0,200}\r?\n(Password|PASS): {0,8}[^\r\n]/
        $entry2 = /(Host|HOST|Url): {0,8}https?:\/\/[^\r\n]{4,300}\r?\n(Login|USER|Username): {0,8}[^\r\n]{0,200}\r?\n(Password|PASS): {0,8}[^\r\n]/
    condition:
        filesize < 50MB and (#entry1 > 4 or #entry2 > 4)
}
