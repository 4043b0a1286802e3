// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule remote_access_anydesk_unattended {
    meta:
        description = "Command line that installs AnyDesk unseen and sets a password, so that a stranger can come in at any time."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1219/"
        false_positives = "Administrators who install it on many computers."
    strings:
        $install = /anydesk[^\r\n]{0,120}--install\s[^\r\n]{0,160}--silent/ ascii wide nocase
        $password = /\|\s{0,4}["']?[^\r\n|]{0,120}anydesk[^\r\n|]{0,60}--set-password/ ascii wide nocase
    condition:
        uint16(0) != 0x5A4D and filesize < 100MB and any of them
}

rule remote_access_tunnel_settings {
    meta:
        description = "Settings of a tunnel that makes the remote desktop or command line of this computer reachable from outside."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1572/"
        false_positives = "Developers and administrators who reach their own computer in this way."
    strings:
        $frp1 = /server_?addr\s{0,4}=\s{0,4}["']?[a-z0-9.-]{4,80}/ nocase
        $frp2 = /server_?port\s{0,4}=\s{0,4}[0-9]{2,5}/ nocase
        $frp3 = /local_?port\s{0,4}=\s{0,4}(3389|22|445|5900|5985)\b/ nocase
        $ngrok1 = /authtoken:\s{0,4}["']?[A-Za-z0-9_]{20}/
        $ngrok2 = "tunnels:"
        $ngrok3 = /addr:\s{0,4}["']?([a-z0-9.]{1,40}:)?(3389|22|445|5900|5985)\b/ nocase
    condition:
        filesize < 256KB and (all of ($frp*) or all of ($ngrok*))
}
