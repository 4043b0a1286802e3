// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule script_powershell_encoded_command {
    meta:
        description = "PowerShell command whose text is hidden in code letters (Base64), as attackers do to keep it from being read."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1027/010/"
        false_positives = "Management programs of companies start PowerShell in this way."
    strings:
        $command = /powershell(\.exe)?["']?\s[^\r\n]{0,160}[-\/]e(n|nc|nco|ncod|ncode|ncoded|ncodedc|ncodedcommand|c)?\s{1,4}["']?[a-z0-9+\/]{80}/ ascii wide nocase
    condition:
        uint16(0) != 0x5A4D and uint32be(0) != 0x7F454C46 and $command
}

rule script_powershell_fetches_and_runs {
    meta:
        description = "PowerShell command that works unseen and runs a script straight from the network."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1059/001/"
        false_positives = "Installation commands of some products; these do not hide their window."
    strings:
        $fetch1 = /\b(iex|invoke-expression)[\s("'&]{1,8}new-object\s{1,4}["']?(system\.)?net\.webclient["']?\s{0,2}\)\s{0,2}\.\s{0,2}download(string|data)\s{0,2}\(/ ascii wide nocase
        $fetch2 = /\.\s{0,2}downloadstring\s{0,2}\([^\r\n)]{4,300}\)\s{0,3}\)?\s{0,3}\|\s{0,3}(iex|invoke-expression)\b/ ascii wide nocase
        $fetch3 = /\b(iwr|invoke-webrequest|irm|invoke-restmethod)\s[^\r\n|]{4,300}\|\s{0,3}(iex|invoke-expression)\b/ ascii wide nocase
        $unseen1 = /-w(indowstyle)?\s{1,4}["']?(hidden|h|1)\b/ ascii wide nocase
        $unseen2 = /-nop(rofile)?\b/ ascii wide nocase
        $unseen3 = /-(ep|exec|executionpolicy)\s{1,4}["']?(bypass|unrestricted)\b/ ascii wide nocase
        $installer = "chocolatey.org/install.ps1" ascii wide nocase
    condition:
        uint16(0) != 0x5A4D and filesize < 100MB and 1 of ($fetch*) and ($unseen1 or ($unseen2 and $unseen3 and not $installer))
}

rule script_powershell_loads_program {
    meta:
        description = "PowerShell text that keeps a program in code letters (Base64) and runs it in memory, without a file."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1620/"
        false_positives = "Hardly any."
    strings:
        $load = /\[(system\.)?reflection\.assembly\]\s{0,2}::\s{0,2}load\s{0,2}\(/ ascii wide nocase
        $load2 = "VirtualAlloc" ascii wide nocase
        $decode = /::\s{0,2}frombase64string\s{0,2}\(/ ascii wide nocase
        $program1 = /["']TV[opqr][a-z0-9+\/]{100}/ ascii wide nocase
        $program2 = /["']H4sI[a-z0-9+\/]{100}/ ascii wide nocase
        $run1 = ".EntryPoint.Invoke" ascii wide nocase
        $run2 = "CreateThread" ascii wide nocase
        $run3 = ".Invoke(" ascii wide nocase
    condition:
        uint16(0) != 0x5A4D and filesize < 50MB and 1 of ($load*) and $decode and 1 of ($program*) and 1 of ($run*)
}
