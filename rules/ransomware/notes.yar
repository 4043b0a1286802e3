// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule ransomware_note {
    meta:
        description = "Letter of an extortionist who says that the files are encrypted and asks for money for the key."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1486/"
        false_positives = "Articles and training material that quote such letters."
    strings:
        $harm = /\b(files|data|documents|network|servers?|systems?|computers?|infrastructure|information)\b[^.]{0,60}\b(encrypted|encoded|crypted|locked|ciphered)\b/ ascii wide nocase
        $harm_computer = /\bencrypted\s{1,3}(all\s{1,3})?(of\s{1,3})?(your|the)\s{1,3}(files|data|network|servers?|systems?|documents|computers?)\b/ ascii wide nocase
        $key1 = "decrypt" ascii wide nocase
        $key2 = "recover your" ascii wide nocase
        $key3 = "restore your" ascii wide nocase
        $key4 = "recover them" ascii wide nocase
        $key5 = "restore them" ascii wide nocase
        $key6 = "restore files" ascii wide nocase
        $key7 = "unlock" ascii wide nocase
        $contact1 = ".onion" ascii wide nocase
        $contact2 = "tor browser" ascii wide nocase
        $contact3 = "torproject.org" ascii wide nocase
        $contact4 = "tox chat" ascii wide nocase
        $contact5 = "tox id" ascii wide nocase
        $contact6 = "qtox" ascii wide nocase
        $contact7 = /[a-z0-9._-]{3,40}@(protonmail|proton|tutanota|tuta|tutamail|onionmail|cock|mail2tor|airmail|firemail|elude|keemail|aol|india|mailfence|cyberfear|msgsafe|swisscows|skiff)\.[a-z]{2,4}/ ascii wide nocase
        $contact8 = "telegram" ascii wide nocase
        $contact9 = /\b(contact|write to|write|e?-?mail) us\b/ ascii wide nocase
        $contact10 = /\b(send|write)[^.]{0,30} (to|at|on) (our )?(e-?mail|address)/ ascii wide nocase
        $pressure1 = "bitcoin" ascii wide nocase
        $pressure2 = "monero" ascii wide nocase
        $pressure3 = "ransom" ascii wide nocase
        $pressure4 = /\b(you (have|must|need) to pay|pay (us|the|for)|payment|price)\b/ ascii wide nocase
        $pressure5 = "private key" ascii wide nocase
        $pressure6 = /\b(do not|don'?t|never) (rename|modify|move|delete|edit|touch|change|try|attempt|use|reset|shutdown|restart|contact|hire|waste|worry)\b/ ascii wide nocase
        $pressure7 = /third[ -]part/ ascii wide nocase
        $pressure8 = "data recovery" ascii wide nocase
        $pressure9 = "antivirus" ascii wide nocase
        $pressure10 = /\b(publish|published|leak|leaked|leaks|leaking|sold|release)\b/ ascii wide nocase
        $pressure11 = /\b(stolen|downloaded|exfiltrated|copied)\b/ ascii wide nocase
        $pressure12 = /\b(for free|free of charge|test (file|decrypt)|guarantees?|proof|prove)\b/ ascii wide nocase
        $pressure13 = /\b(police|fbi|law enforcement|authorities)\b/ ascii wide nocase
        $pressure14 = /\b(personal|your|unique|company|client|user|decryption|recovery) (id|identifier|key|code)\b/ ascii wide nocase
        $pressure15 = /\b(24|36|48|72|96|three|3|5|7) (hours|days)\b/ ascii wide nocase
        $pressure17 = /\b(any (other )?attempts?|(the )?only way|no other way|irrevers[a-z]{4,8}|permanently|impossible to)\b/ ascii wide nocase
        $pressure18 = /\b(btc|wallet)\b/ ascii wide nocase
        $pressure16 = /\byour (company|network|files|data|documents|business|computer|system)\b/ ascii wide nocase
    condition:
        filesize < 64KB and uint16(0) != 0x5A4D and 1 of ($harm*) and 1 of ($key*) and 1 of ($contact*)
                and (8 of ($pressure*) or (filesize < 8KB and 4 of ($pressure*)))
}

rule ransomware_note_data_theft {
    meta:
        description = "Letter of an extortionist who says that data were copied and threatens to publish them."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1657/"
        false_positives = "Articles and training material that quote such letters."
    strings:
        $taken = /\b(files|data|documents|databases?|information|network|gb|tb)\b[^.]{0,60}\b(stolen|downloaded|exfiltrated|extracted|copied|uploaded|breached|compromised|hacked)\b/ ascii wide nocase
        $taken_by_us = /\bwe (have |also |have also |had )?(stole|stolen|downloaded|exfiltrated|extracted|copied|uploaded|took|taken|hacked|breached|compromised)\b/ ascii wide nocase
        $publish1 = /\b(publish|published|publicly|leak|leaked|leaks)\b/ ascii wide nocase
        $publish2 = /\b(made public|sold to|sell (it|them|your)|release (the|your|all)|available to the public)\b/ ascii wide nocase
        $contact1 = ".onion" ascii wide nocase
        $contact2 = "tor browser" ascii wide nocase
        $contact3 = "torproject.org" ascii wide nocase
        $contact4 = "tox chat" ascii wide nocase
        $contact5 = "tox id" ascii wide nocase
        $contact6 = "qtox" ascii wide nocase
        $contact7 = /[a-z0-9._-]{3,40}@(protonmail|proton|tutanota|tuta|tutamail|onionmail|cock|mail2tor|cyberfear|msgsafe|mailfence|skiff)\.[a-z]{2,4}/ ascii wide nocase
        $you = /\byour (company|network|files|data|documents|business|clients|customers|partners|employees|organi[sz]ation|management)\b/ ascii wide nocase
        $pressure1 = /\b(bitcoins?|monero|ransom|you (have|must|need) to pay|pay (us|the|for)|payment)\b/ ascii wide nocase
        $pressure2 = /\b(if you (refuse|don'?t|do not|ignore|decide)|in case of (refusal|non))/ ascii wide nocase
        $pressure3 = /\b(contact|write to|email) us\b/ ascii wide nocase
        $pressure4 = /\b(24|36|48|72|96|three|3|5|7|10) (hours|days)\b/ ascii wide nocase
        $pressure5 = /\b(competitors|journalists|regulators|darknet|dark web|black market|shame|blog)\b/ ascii wide nocase
        $pressure6 = /\b(police|fbi|law enforcement|authorities|negotiat(e|ion|ions|ors?))\b/ ascii wide nocase
        $pressure7 = /\b(encrypted|decrypt|decryption|decryptor)\b/ ascii wide nocase
    condition:
        filesize < 64KB and uint16(0) != 0x5A4D and 1 of ($taken*) and 1 of ($publish*) and 1 of ($contact*) and $you
                and (6 of ($pressure*) or (filesize < 8KB and 3 of ($pressure*)))
}
