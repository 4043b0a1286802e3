// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule phishing_php_mails_credentials {
    meta:
        description = "PHP page that takes a typed password or card number, mails it to somebody with the sender's address on the network, and leads on to another page."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1598/003/"
        false_positives = "Badly made log-on pages of honest sites."
    strings:
        $tag = "<?php" nocase
        $secret = /\$_(POST|REQUEST)\s{0,2}\[\s{0,2}["'][a-z0-9_-]{0,20}(pass|passwd|passw|pwd|pswd|cvv|cvc|pin|otp|ssn|ccnum|cardnumber)[a-z0-9_-]{0,20}["']\s{0,2}\]/ nocase
        $mail = /[^a-z_>]mail\s{0,2}\(\s{0,2}["$]/ nocase
        $who = "REMOTE_ADDR"
        $lead = /header\s{0,2}\(\s{0,2}["']\s{0,2}location\s{0,2}:/ nocase
        $lead2 = "window.location" nocase
    condition:
        filesize < 512KB and $tag and $secret and $mail and $who and 1 of ($lead*)
}

rule phishing_php_sends_to_telegram {
    meta:
        description = "PHP page that takes a typed password or card number and sends it to a Telegram chat."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1567/"
        false_positives = "Hardly any."
    strings:
        $tag = "<?php" nocase
        $secret = /\$_(POST|REQUEST)\s{0,2}\[\s{0,2}["'][a-z0-9_-]{0,20}(pass|passwd|passw|pwd|pswd|cvv|cvc|pin|otp|ssn|ccnum|cardnumber)[a-z0-9_-]{0,20}["']\s{0,2}\]/ nocase
        $telegram = "api.telegram.org/bot" nocase
        $send = "sendMessage" nocase
    condition:
        filesize < 512KB and all of them
}

rule phishing_kit_turns_examiners_away {
    meta:
        description = "PHP page that turns away visitors from security companies: phishing sites do so to stay unseen."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1480/"
        false_positives = "Lists against unwanted crawlers; honest ones seldom name security companies."
    strings:
        $tag = "<?php" nocase
        $lookup1 = "gethostbyaddr" nocase
        $lookup2 = "HTTP_USER_AGENT" nocase
        $lookup3 = "REMOTE_ADDR" nocase
        $name1 = "phishtank" nocase
        $name2 = "netcraft" nocase
        $name3 = "kaspersky" nocase
        $name4 = "bitdefender" nocase
        $name5 = "cyveillance" nocase
        $name6 = "virustotal" nocase
        $name7 = "safebrowsing" nocase
        $name8 = "fortinet" nocase
        $name9 = "mcafee" nocase
        $name10 = "trendmicro" nocase
        $refuse1 = "404 Not Found" nocase
        $refuse2 = "403 Forbidden" nocase
        $refuse3 = /\b(die|exit)\s{0,2}[(;]/ nocase
    condition:
        filesize < 512KB and $tag and 1 of ($lookup*) and 3 of ($name*) and 1 of ($refuse*)
}

rule phishing_html_carries_program {
    meta:
        description = "Web page that puts together a program or archive inside the browser and saves it on the computer of whoever opens it."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1027/006/"
        false_positives = "Web pages that offer a file they made themselves, such as an export."
    strings:
        $script = "<script" nocase
        $decode = /\batob\s{0,2}\(/
        $blob1 = /new\s{1,4}Blob\s{0,2}\(/
        $blob2 = "msSaveOrOpenBlob"
        $blob3 = "msSaveBlob"
        $save1 = /\.\s{0,2}download\s{0,2}=/
        $save2 = ".click()"
        $save3 = /setAttribute\s{0,2}\(\s{0,2}["']download["']/
        $carried1 = /["'`]TV[opqr][A-Za-z0-9+\/]{200}/
        $carried2 = /["'`]UEsDB[A-Za-z0-9+\/]{200}/
        $carried3 = /["'`]UmFyIR[A-Za-z0-9+\/]{200}/
    condition:
        filesize < 50MB and $script and $decode and 1 of ($blob*) and 1 of ($save*) and 1 of ($carried*)
}
