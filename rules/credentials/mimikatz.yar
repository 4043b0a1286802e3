// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule credentials_mimikatz_commands {
    meta:
        description = "Commands of the program Mimikatz, which reads passwords and password hashes out of Windows: somebody used it here or meant to."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1003/001/"
        false_positives = "Security manuals, detection rules and signatures of antivirus software."
    strings:
        $c1 = "sekurlsa::logonpasswords" ascii wide nocase
        $c2 = "sekurlsa::minidump" ascii wide nocase
        $c3 = "sekurlsa::pth" ascii wide nocase
        $c4 = "lsadump::sam" ascii wide nocase
        $c5 = "lsadump::dcsync" ascii wide nocase
        $c6 = "lsadump::secrets" ascii wide nocase
        $c7 = "kerberos::golden" ascii wide nocase
        $c8 = "kerberos::ptt" ascii wide nocase
        $c9 = "privilege::debug" ascii wide nocase
        $c10 = "token::elevate" ascii wide nocase
        $c11 = "dpapi::masterkey" ascii wide nocase
        $c12 = "vault::cred" ascii wide nocase
    condition:
        2 of them
}

rule credentials_mimikatz_output {
    meta:
        description = "Passwords or password hashes as the program Mimikatz prints them: credentials were taken from a Windows computer."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1003/001/"
        false_positives = "Screenshots as text in security manuals."
    strings:
        $session = "Authentication Id :" ascii wide
        $user = "* Username :" ascii wide
        $domain = "* Domain   :" ascii wide
        $secret1 = "* NTLM     :" ascii wide
        $secret2 = "* SHA1     :" ascii wide
        $secret3 = "* Password :" ascii wide
    condition:
        filesize < 50MB and $session and $user and $domain and 1 of ($secret*)
}

rule credentials_mimikatz_program {
    meta:
        description = "The program Mimikatz or one built from its parts, which reads passwords and password hashes out of Windows."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1003/001/"
        false_positives = "Copies kept by security teams."
    strings:
        $name1 = "gentilkiwi" ascii wide
        $name2 = "mimikatz" ascii wide nocase
        $part1 = "kuhl_m_sekurlsa" ascii wide
        $part2 = "kuhl_m_lsadump" ascii wide
        $part3 = "KiwiAndRegistryTools" ascii wide
        $part4 = "kull_m_" ascii wide
        $part5 = "mimidrv" ascii wide nocase
        $part6 = "logonPasswords" wide
        $part7 = "KerberosTickets" ascii wide
    condition:
        uint16(0) == 0x5A4D and filesize < 30MB and 1 of ($name*) and 2 of ($part*)
}
