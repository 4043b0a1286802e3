// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule office_macro_under_plain_name {
    meta:
        description = "Document that holds a macro although its name ends like that of a document without macros."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1036/008/"
        false_positives = "Documents renamed by hand."
    strings:
        $word = "word/vbaProject.bin"
        $excel = "xl/vbaProject.bin"
        $point = "ppt/vbaProject.bin"
    condition:
        uint32be(0) == 0x504B0304 and (extension iequals ".docx" or extension iequals ".xlsx" or extension iequals ".pptx" or extension iequals ".dotx") and any of them
}
