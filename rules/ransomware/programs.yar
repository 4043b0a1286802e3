// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule ransomware_program_destroys_backups {
    meta:
        description = "Program that deletes the backups and shadow copies of Windows, as ransomware does before it encrypts."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1490/"
        false_positives = "Backup programs and tuning tools use one of these commands, hardly two."
    strings:
        $c1 = /vssadmin(\.exe)?\s{1,4}delete\s{1,4}shadows/ ascii wide nocase
        $c2 = /wmic(\.exe)?\s{1,4}shadowcopy\s{1,4}delete/ ascii wide nocase
        $c3 = /wbadmin(\.exe)?\s{1,4}delete\s{1,4}(catalog|systemstatebackup|backup)/ ascii wide nocase
        $c4 = /bcdedit(\.exe)?\s{1,4}\/set\s{1,4}[^\r\n]{1,20}\s{1,4}recoveryenabled\s{1,4}no/ ascii wide nocase
        $c5 = /bcdedit(\.exe)?\s{1,4}\/set\s{1,4}[^\r\n]{1,20}\s{1,4}bootstatuspolicy\s{1,4}ignoreallfailures/ ascii wide nocase
        $c6 = /vssadmin(\.exe)?\s{1,4}resize\s{1,4}shadowstorage/ ascii wide nocase
    condition:
        uint16(0) == 0x5A4D and filesize < 50MB and 2 of them
}

rule ransomware_script_destroys_backups {
    meta:
        description = "Script or command history with commands that delete the backups and shadow copies of Windows, as ransomware does before it encrypts."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1490/"
        false_positives = "Detection rules and manuals; scripts that free disk space."
    strings:
        $c1 = /vssadmin(\.exe)?\s{1,4}delete\s{1,4}shadows/ ascii wide nocase
        $c2 = /wmic(\.exe)?\s{1,4}shadowcopy\s{1,4}delete/ ascii wide nocase
        $c3 = /wbadmin(\.exe)?\s{1,4}delete\s{1,4}(catalog|systemstatebackup|backup)/ ascii wide nocase
        $c4 = /bcdedit(\.exe)?\s{1,4}\/set\s{1,4}[^\r\n]{1,20}\s{1,4}recoveryenabled\s{1,4}no/ ascii wide nocase
        $c5 = /bcdedit(\.exe)?\s{1,4}\/set\s{1,4}[^\r\n]{1,20}\s{1,4}bootstatuspolicy\s{1,4}ignoreallfailures/ ascii wide nocase
        $c6 = /Win32_ShadowCopy[^\r\n]{0,80}(\.Delete\s{0,2}\(|Remove-(Wmi|Cim))/ ascii wide nocase
    condition:
        uint16(0) != 0x5A4D and filesize < 5MB and 2 of them
}

rule ransomware_wannacry_file {
    meta:
        description = "File encrypted by the ransomware WannaCry."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1486/"
        false_positives = "Hardly any: the file starts with that program's own mark and the length of its key."
    condition:
        uint32be(0) == 0x57414E41 and uint32be(4) == 0x43525921 and uint32(8) == 0x100 and filesize > 280
}
