// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule credentials_lsass_dump_command {
    meta:
        description = "Command line that copies the memory of the Windows process that holds the passwords of logged-on people."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1003/001/"
        false_positives = "Security manuals and detection rules."
    strings:
        $comsvcs = /comsvcs(\.dll)?["']?\s{0,3},?\s{0,3}(minidump|#[+-]?0{0,4}24)/ ascii wide nocase
        $procdump = /procdump(64a?)?(\.exe)?["']?\s[^\r\n|<>]{0,80}lsass(\.exe)?/ ascii wide nocase
        $rdrleak = /rdrleakdiag(\.exe)?["']?\s[^\r\n]{0,40}\/fullmemdmp/ ascii wide nocase
    condition:
        any of them
}

rule credentials_lsass_memory_dump {
    meta:
        description = "Copy of the memory of the Windows process that holds the passwords of logged-on people (lsass); passwords can be read out of it."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1003/001/"
        false_positives = "Crash dumps that Windows itself wrote when that process failed."
    strings:
        $process = "\\lsass.exe" wide nocase
        $module1 = "\\lsasrv.dll" wide nocase
        $module2 = "\\wdigest.dll" wide nocase
        $module3 = "\\kerberos.dll" wide nocase
    condition:
        uint32be(0) == 0x4D444D50 and $process and $module1 and 1 of ($module2, $module3)
}
