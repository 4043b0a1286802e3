// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule ransomware_note {
    meta:
        description = "Letter of an extortionist who says that the files are encrypted and asks for money for the key."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1486/"
        false_positives = "Articles and training material that quote such letters in full."
    strings:
        $locked1 = "files have been encrypted" ascii wide nocase
        $locked2 = "files are encrypted" ascii wide nocase
        $locked3 = "files were encrypted" ascii wide nocase
        $locked4 = "network has been encrypted" ascii wide nocase
        $locked5 = "data has been encrypted" ascii wide nocase
        $locked6 = "data are stolen and encrypted" ascii wide nocase
        $locked7 = "files has been encrypted" ascii wide nocase
        $pay1 = "bitcoin" ascii wide nocase
        $pay2 = ".onion" ascii wide nocase
        $pay3 = "tor browser" ascii wide nocase
        $pay4 = "monero" ascii wide nocase
        $pay5 = "decryption key" ascii wide nocase
        $pay6 = "decryptor" ascii wide nocase
        $pay7 = "decrypt your files" ascii wide nocase
        $pay8 = "recover your files" ascii wide nocase
        $threat1 = "do not rename" ascii wide nocase
        $threat2 = "don't rename" ascii wide nocase
        $threat3 = "third party software" ascii wide nocase
        $threat4 = "third-party software" ascii wide nocase
        $threat5 = "permanent data loss" ascii wide nocase
        $threat6 = "price will" ascii wide nocase
        $threat7 = "will be published" ascii wide nocase
        $threat8 = "personal id" ascii wide nocase
        $threat9 = "your id" ascii wide nocase
        $threat10 = "decrypt for free" ascii wide nocase
        $threat11 = "free decryption" ascii wide nocase
        $threat12 = "do not modify" ascii wide nocase
    condition:
        filesize < 128KB and uint16(0) != 0x5A4D and 1 of ($locked*) and 2 of ($pay*) and 2 of ($threat*)
}

rule ransomware_note_data_theft {
    meta:
        description = "Letter of an extortionist who says that data were copied and threatens to publish them."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1657/"
        false_positives = "Articles and training material that quote such letters in full."
    strings:
        $taken1 = "have been downloaded" ascii wide nocase
        $taken2 = "we have downloaded" ascii wide nocase
        $taken3 = "have been exfiltrated" ascii wide nocase
        $taken4 = "we have exfiltrated" ascii wide nocase
        $taken5 = "data was stolen" ascii wide nocase
        $taken6 = "we have stolen" ascii wide nocase
        $publish1 = "will be published" ascii wide nocase
        $publish2 = "will publish" ascii wide nocase
        $publish3 = "will be leaked" ascii wide nocase
        $publish4 = "leak site" ascii wide nocase
        $publish5 = "our blog" ascii wide nocase
        $contact1 = ".onion" ascii wide nocase
        $contact2 = "tor browser" ascii wide nocase
        $contact3 = "onionmail.org" ascii wide nocase
        $contact4 = "tox id" ascii wide nocase
        $address = "your compan" ascii wide nocase
        $address2 = "your network" ascii wide nocase
        $address3 = "your data" ascii wide nocase
    condition:
        filesize < 128KB and uint16(0) != 0x5A4D and 1 of ($taken*) and 1 of ($publish*) and 1 of ($contact*) and 1 of ($address*)
}
