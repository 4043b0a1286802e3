// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule script_windows_tool_downloads {
    meta:
        description = "Command line that misuses a tool of Windows itself to fetch a file from the network or to run a script from there."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1105/"
        false_positives = "Old installation scripts; security manuals and detection rules."
    strings:
        $certutil = /certutil(\.exe)?["']?\s[^\r\n]{0,80}[-\/](urlcache|verifyctl)\s[^\r\n]{0,80}(https?|ftp):\/\// ascii wide nocase
        $bitsadmin = /bitsadmin(\.exe)?["']?\s[^\r\n]{0,80}\/(transfer|addfile)\s[^\r\n]{0,120}https?:\/\// ascii wide nocase
        $mshta = /mshta(\.exe)?["']?\s{1,4}["']?(https?:\/\/|vbscript:|javascript:)/ ascii wide nocase
        $regsvr32 = /regsvr32(\.exe)?["']?\s[^\r\n]{0,60}\/i:["']?https?:\/\/[^\r\n]{1,200}scrobj/ ascii wide nocase
        $rundll32 = /rundll32(\.exe)?["']?\s{1,4}javascript:/ ascii wide nocase
    condition:
        uint16(0) != 0x5A4D and filesize < 200MB and any of them
}

rule script_turns_protection_off {
    meta:
        description = "Command line that switches the virus protection of Windows off or tells it to overlook a folder or program."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1562/001/"
        false_positives = "Administrators and installation scripts of some programs."
    strings:
        $prefer = /set-mppreference\s[^\r\n]{0,120}-disable(realtimemonitoring|behaviormonitoring|ioavprotection|scriptscanning|blockatfirstseen)\s{1,4}(\$true|1)/ ascii wide nocase
        $exclude = /add-mppreference\s[^\r\n]{0,80}-exclusion(path|process|extension)\s{1,4}["']?[a-z$\\%.*]/ ascii wide nocase
        $registry = /windows defender[^\r\n]{0,80}disable(antispyware|realtimemonitoring)["']?[^\r\n]{0,40}\/d\s{1,4}["']?1/ ascii wide nocase
        $service = /\b(sc|net)(\.exe)?\s{1,4}(stop|delete|config)\s{1,4}["']?windefend\b/ ascii wide nocase
    condition:
        uint16(0) != 0x5A4D and filesize < 100MB and any of them
}

rule script_clears_logs {
    meta:
        description = "Command line that empties the event logs of Windows, so that traces are lost."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1070/001/"
        false_positives = "Scripts that prepare a computer for delivery."
    strings:
        $security = /wevtutil(\.exe)?["']?\s{1,4}(cl|clear-log)\s{1,4}["']?(security|system|application|"?windows powershell|microsoft-windows-[a-z]{2,40})/ ascii wide nocase
        $all = /wevtutil(\.exe)?["']?\s{1,4}(el|enum-logs)[^\r\n]{1,80}wevtutil(\.exe)?["']?\s{1,4}(cl|clear-log)/ ascii wide nocase
        $powershell = /clear-eventlog\s[^\r\n]{0,60}(security|system|application)/ ascii wide nocase
        $journal = /fsutil(\.exe)?\s{1,4}usn\s{1,4}deletejournal/ ascii wide nocase
    condition:
        uint16(0) != 0x5A4D and filesize < 100MB and any of them
}

rule script_wmi_autostart {
    meta:
        description = "Script that makes Windows start a program at a chosen event through its management service, which is seldom looked at."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1546/003/"
        false_positives = "Management programs of companies."
    strings:
        $filter = "__EventFilter" ascii wide nocase
        $bind = "__FilterToConsumerBinding" ascii wide nocase
        $make1 = /instance\s{1,4}of\s{1,4}(commandline|activescript)eventconsumer/ ascii wide nocase
        $make2 = /(set-wmiinstance|new-ciminstance|\[wmiclass\]|new-wmieventsubscription)[^\r\n]{0,120}(commandline|activescript)eventconsumer/ ascii wide nocase
    condition:
        uint16(0) != 0x5A4D and filesize < 1MB and $filter and $bind and 1 of ($make*)
}

rule script_shortcut_starts_command {
    meta:
        description = "Shortcut that starts a hidden command line or fetches a file from the network when it is clicked."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1204/002/"
        false_positives = "Shortcuts made by administrators."
    strings:
        $header = { 4C 00 00 00 01 14 02 00 00 00 00 00 C0 00 00 00 00 00 00 46 }
        $tool1 = "powershell" wide nocase
        $tool2 = "mshta" wide nocase
        $tool3 = "cmd.exe" wide nocase
        $tool4 = "wscript" wide nocase
        $tool5 = "rundll32" wide nocase
        $sign1 = /-e(nc|c|ncodedcommand)?\s{1,4}["']?[a-z0-9+\/]{40}/ wide nocase
        $sign2 = /-w(indowstyle)?\s{1,4}["']?(hidden|h|1)\b/ wide nocase
        $sign3 = "DownloadString" wide nocase
        $sign4 = "DownloadFile" wide nocase
        $sign5 = /mshta(\.exe)?["']?\s{1,4}["']?(https?|javascript|vbscript):/ wide nocase
        $sign6 = "FromBase64String" wide nocase
        $sign7 = /\b(iwr|curl|invoke-webrequest)\s[^\r\n]{0,80}https?:\/\// wide nocase
    condition:
        uint32(0) == 0x4C and $header at 0 and filesize < 5MB and 1 of ($tool*) and 1 of ($sign*)
}
