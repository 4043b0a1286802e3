// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule remote_access_cobalt_strike {
    meta:
        description = "Part of the attack tool Cobalt Strike, which gives a stranger control over this computer."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1219/"
        false_positives = "Hardly any; the settings of that tool are found in their scrambled form."
    strings:
        // The settings start with: number 1, kind short, length 2, protocol; number 2, kind short, length 2, port; scrambled with one byte.
        $key_69 = { 69 68 69 68 69 6B ?? ?? 69 6B 69 68 69 6B ?? ?? 69 6A 69 6B 69 6D }
        $key_2e = { 2E 2F 2E 2F 2E 2C ?? ?? 2E 2C 2E 2F 2E 2C ?? ?? 2E 2D 2E 2C 2E 2A }
    condition:
        any of them
}

rule remote_access_meterpreter {
    meta:
        description = "Part of the attack tool Meterpreter, which gives a stranger control over this computer."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1219/"
        false_positives = "Copies kept by security testers."
    strings:
        $loader = "ReflectiveLoader"
        $part1 = "metsrv.dll" nocase
        $part2 = "metsrv.x64.dll" nocase
        $part3 = "core_loadlib"
        $part4 = "core_channel_open"
        $part5 = "stdapi_fs_"
        $part6 = "ext_server_stdapi" nocase
        $part7 = "core_transport_"
    condition:
        uint16(0) == 0x5A4D and filesize < 20MB and $loader and 2 of ($part*)
}

rule remote_access_tunnel_program {
    meta:
        description = "Program that opens a tunnel from this computer to the outside, past the firewall."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1572/"
        false_positives = "Developers use these programs for honest work."
    strings:
        $frp = "github.com/fatedier/frp/"
        $chisel = "github.com/jpillora/chisel/"
        $ligolo = "github.com/nicocha30/ligolo-ng/"
        $ngrok1 = "github.com/inconshreveable/ngrok/"
        $ngrok2 = "golang.ngrok.com/"
        $ngrok3 = "go.ngrok.com/"
    condition:
        (uint16(0) == 0x5A4D or uint32be(0) == 0x7F454C46) and filesize < 100MB and any of them
}
