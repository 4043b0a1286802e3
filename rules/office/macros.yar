// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule office_macro_starts_program {
    meta:
        description = "Office document whose macro starts by itself when the document is opened and can start other programs or fetch files."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1204/002/"
        false_positives = "Forms and add-ins that companies write for themselves."
    strings:
        $vba1 = "_VBA_PROJECT" wide
        $vba2 = "VBE7.DLL" ascii wide nocase
        $vba3 = "VBE6.DLL" ascii wide nocase
        $auto1 = "AutoOpen" ascii wide nocase fullword
        $auto2 = "Auto_Open" ascii wide nocase fullword
        $auto3 = "Document_Open" ascii wide nocase fullword
        $auto4 = "Workbook_Open" ascii wide nocase fullword
        $auto5 = "AutoExec" ascii wide nocase fullword
        $auto6 = "AutoClose" ascii wide nocase fullword
        $act1 = "WScript.Shell" ascii wide nocase
        $act2 = "Shell.Application" ascii wide nocase
        $act3 = "URLDownloadToFile" ascii wide nocase
        $act4 = "MSXML2.XMLHTTP" ascii wide nocase
        $act5 = "MSXML2.ServerXMLHTTP" ascii wide nocase
        $act6 = "WinHttp.WinHttpRequest" ascii wide nocase
        $act7 = "winmgmts:" ascii wide nocase
        $act8 = "powershell" ascii wide nocase
        $act9 = "ADODB.Stream" ascii wide nocase
    condition:
        uint32be(0) == 0xD0CF11E0 and filesize < 50MB and 1 of ($vba*) and 1 of ($auto*) and 1 of ($act*)
}

rule office_macro_source_fetches_program {
    meta:
        description = "Text of a macro that starts by itself, fetches a file from the network and runs it."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1059/005/"
        false_positives = "Hardly any; lessons about malicious macros."
    strings:
        $auto = /sub\s{1,4}(autoopen|auto_open|autoexec|document_open|workbook_open|autoclose)\s{0,4}\(/ nocase
        $create = "CreateObject(" nocase
        $fetch1 = "MSXML2." nocase
        $fetch2 = "WinHttp.WinHttpRequest" nocase
        $fetch3 = "URLDownloadToFile" nocase
        $fetch4 = "ADODB.Stream" nocase
        $fetch5 = "Net.WebClient" nocase
        $run1 = /\bshell[\s(]/ nocase
        $run2 = /\.run[\s(]/ nocase
        $run3 = ".ShellExecute" nocase
        $run4 = /\.exec[\s(]/ nocase
    condition:
        filesize < 2MB and uint16(0) != 0x5A4D and $auto and $create and 1 of ($fetch*) and 1 of ($run*)
}

rule office_xlm_macro_hidden {
    meta:
        description = "Excel workbook with a hidden sheet of old-style macros that start by themselves when it is opened."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1137/"
        false_positives = "Workbooks from the 1990s."
    strings:
        $sheet = { 85 00 ?? 00 ?? ?? ?? ?? (01 | 02) 01 ?? 00 }
        $auto_open = { 18 00 ?? 00 (20 | 21) 00 00 01 ?? ?? 00 00 ?? 00 00 00 00 00 00 01 }
        $auto_name = { 18 00 ?? 00 (00 | 01) 00 00 ?? ?? ?? 00 00 ?? 00 00 00 00 00 00 (41 | 61) (55 | 75) (54 | 74) (4F | 6F) 5F (4F | 6F) (50 | 70) (45 | 65) (4E | 6E) }
    condition:
        uint32be(0) == 0xD0CF11E0 and filesize < 50MB and $sheet and 1 of ($auto_*)
}
