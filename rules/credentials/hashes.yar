// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule credentials_password_hash_list {
    meta:
        description = "List of Windows accounts with their password hashes, as tools write it that empty the account database."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1003/002/"
        false_positives = "Sample data of password-testing tools."
    strings:
        $lm_empty = /:[0-9]{3,10}:aad3b435b51404eeaad3b435b51404ee:[0-9a-f]{32}:::/ nocase
        $nt_empty = /:[0-9]{3,10}:[0-9a-f]{32}:31d6cfe0d16ae931b73c59d7e0c089c0:::/ nocase
    condition:
        filesize < 200MB and (#lm_empty > 2 or #nt_empty > 2)
}

rule credentials_secretsdump {
    meta:
        description = "Words that the tool secretsdump prints while it empties a Windows account database, or the tool itself."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1003/003/"
        false_positives = "Security manuals; distributions of Linux for security testers hold the tool."
    strings:
        $w1 = "Dumping local SAM hashes (uid:rid:lmhash:nthash)" ascii wide
        $w2 = "Dumping Domain Credentials (domain\\uid:rid:lmhash:nthash)" ascii wide
        $w3 = "Dumping cached domain logon information (domain/username:hash)" ascii wide
        $w4 = "Using the DRSUAPI method to get NTDS.DIT secrets" ascii wide
        $w5 = "Searching for pekList, be patient" ascii wide
        $w6 = "Target system bootKey: 0x" ascii wide
    condition:
        2 of them
}

rule credentials_hive_copy_command {
    meta:
        description = "Command line that copies the Windows account database, from which password hashes can be read."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1003/002/"
        false_positives = "Backup scripts of administrators."
    strings:
        $save = /\breg(\.exe)?["']?\s{1,4}(save|export)\s{1,4}["']?(hklm|hkey_local_machine)\\(sam|security)\b/ ascii wide nocase
        $ifm = /ntdsutil(\.exe)?["']?\s[^\r\n]{0,80}ifm[^\r\n]{0,20}create\s{1,4}full/ ascii wide nocase
        $shadow = /(copy|esentutl)(\.exe)?\s[^\r\n]{0,40}HarddiskVolumeShadowCopy[0-9]{1,4}\\windows\\(ntds\\ntds\.dit|system32\\config\\(sam|security))/ ascii wide nocase
    condition:
        any of them
}

rule credentials_hash_text_of_kerberos {
    meta:
        description = "Kerberos tickets written as text for guessing passwords offline."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1558/003/"
        false_positives = "Sample data of password-testing tools."
    strings:
        $tgs = /\$krb5tgs\$(17|18|23)\$\*?[^\s$]{1,80}\$[^\r\n]{0,200}\$[0-9a-f]{32}/ nocase
        $asrep = /\$krb5asrep\$(17\$|18\$|23\$)?[^\s:$]{1,80}@[^\s:$]{1,80}:[0-9a-f]{32}\$/ nocase
    condition:
        filesize < 100MB and any of them
}
