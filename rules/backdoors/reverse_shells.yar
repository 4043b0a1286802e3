// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule backdoor_shell_line {
    meta:
        description = "Command line that gives a stranger over the network control of this computer (reverse shell)."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1059/004/"
        false_positives = "Security manuals and lessons."
    strings:
        $bash = /\b(ba|z|k|da)?sh\s{1,4}-i\s{0,4}[<>]{0,1}[>&|0-9\s]{1,8}\/dev\/(tcp|udp)\/[a-z0-9.$%{}-]{1,80}\/[0-9$%{]/ nocase
        $exec = /exec\s{1,4}[0-9]{1,4}<>\s{0,4}\/dev\/tcp\/[a-z0-9.$%{}-]{1,80}\/[0-9$%{]/ nocase
        $nc = /\b(nc|ncat|netcat)(\.exe|\.traditional)?\s[^\r\n|;]{0,80}(-e|-c|--exec|--sh-exec)\s{0,4}["']?(\/bin\/(ba)?sh|cmd\.exe|powershell)/ nocase
        $fifo = /mkfifo\s{1,4}(\/[a-z0-9_.\/-]{1,40})[^\r\n]{1,80}(ba)?sh\s{1,4}-i[^\r\n]{1,40}\b(nc|ncat|telnet|openssl)\s/ nocase
        $socat = /socat\s[^\r\n]{0,120}exec:["']?[^\r\n]{0,20}(ba)?sh\b[^\r\n]{0,120}(tcp|openssl)[0-9a-z-]{0,12}:/ nocase
        $socat2 = /socat\s[^\r\n]{0,80}(tcp|openssl)[0-9a-z-]{0,12}:[^\r\n]{1,80}exec:["']?[^\r\n]{0,20}(ba)?sh\b/ nocase
    condition:
        filesize < 5MB and uint16(0) != 0x5A4D and uint32be(0) != 0x7F454C46 and any of them
}

rule backdoor_python_shell {
    meta:
        description = "Python text that connects to a stranger and hands the command line over to him."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1059/006/"
        false_positives = "Security manuals and lessons."
    strings:
        $socket = "socket.socket(" nocase
        $connect = /\.connect\s{0,2}\(\s{0,2}\(/
        $hand = /os\.dup2\s{0,2}\(\s{0,2}[a-z0-9_]{1,20}\.fileno\s{0,2}\(\s{0,2}\)\s{0,2},\s{0,2}[012a-z]/
        $shell1 = /pty\.spawn\s{0,2}\(/
        $shell2 = /(subprocess\.(call|Popen|run)|os\.system)\s{0,2}\(\s{0,2}\[?\s{0,2}["']((\/usr)?\/bin\/)?(ba|z)?sh\b/
    condition:
        filesize < 1MB and $socket and $connect and $hand and 1 of ($shell*)
}

rule backdoor_powershell_shell {
    meta:
        description = "PowerShell text that connects to a stranger and runs the commands he sends."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1059/001/"
        false_positives = "Security manuals and lessons."
    strings:
        $client = /new-object\s{1,4}(-typename\s{1,4})?["']?(system\.)?net\.sockets\.tcpclient/ ascii wide nocase
        $client2 = /\[(system\.)?net\.sockets\.tcpclient\]\s{0,2}::\s{0,2}new/ ascii wide nocase
        $stream = ".GetStream()" ascii wide nocase
        $run1 = /\b(iex|invoke-expression)[\s("'$]/ ascii wide nocase
        $read = ".Read(" ascii wide nocase
        $write = ".Write(" ascii wide nocase
    condition:
        filesize < 1MB and uint16(0) != 0x5A4D and 1 of ($client*) and $stream and $run1 and $read and $write
}

rule backdoor_cron_download {
    meta:
        description = "Timed job of Linux that fetches a script from the network and runs it, again and again."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1053/003/"
        false_positives = "Administrators who update their servers in this way."
    strings:
        $time1 = "* * * *"
        $time2 = "@reboot"
        $time3 = "@hourly"
        $time4 = "@daily"
        $fetch = /\b(curl|wget)\s[^\r\n|]{4,200}https?:\/\/[^\r\n|]{4,200}\|\s{0,3}(sudo\s{1,3})?((\/usr)?\/bin\/)?(ba)?sh\b/ nocase
        $fetch2 = /\b(curl|wget)\s[^\r\n|]{0,100}[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}[^\r\n|]{1,200}\|\s{0,3}((\/usr)?\/bin\/)?(ba)?sh\b/ nocase
    condition:
        filesize < 256KB and 1 of ($time*) and 1 of ($fetch*)
}
