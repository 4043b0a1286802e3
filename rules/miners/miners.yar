// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule miner_pool_settings {
    meta:
        description = "Settings or command line for mining cryptocurrency at a pool: somebody lets the computer work for money."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1496/"
        false_positives = "Owners who mine on their own computer."
    strings:
        $pool = /stratum[12]?\+(tcp|ssl|tls|udp):\/\/[a-z0-9.-]{3,80}:[0-9]{2,5}/ nocase
        $who1 = /(--user|-u|-user|-wal|--wallet)[\s=]{1,3}[a-z0-9.@_+-]{8}/ nocase
        $who2 = /["']?(user|wallet|wallet_address|address)["']?\s{0,4}[:=]\s{0,4}["'][a-z0-9.@_+-]{8}/ nocase
        $who3 = /(--pass|-p|-pass)[\s=]{1,3}[a-z0-9]/ nocase
        $who4 = /["']pass(word)?["']\s{0,4}[:=]\s{0,4}["']/ nocase
    condition:
        filesize < 1MB and uint16(0) != 0x5A4D and uint32be(0) != 0x7F454C46 and $pool and 1 of ($who*)
}

rule miner_xmrig_settings {
    meta:
        description = "Settings file of the mining program XMRig."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1496/"
        false_positives = "Owners who mine on their own computer."
    strings:
        $k1 = "\"donate-level\""
        $k2 = "\"pools\""
        $k3 = "\"rig-id\""
        $k4 = "\"randomx\""
        $k5 = "\"keepalive\""
        $k6 = "\"huge-pages\""
        $k7 = "\"donate-over-proxy\""
    condition:
        filesize < 256KB and $k1 and $k2 and 2 of ($k3, $k4, $k5, $k6, $k7)
}

rule miner_program {
    meta:
        description = "Program that mines cryptocurrency."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1496/"
        false_positives = "Owners who mine on their own computer."
    strings:
        $pool1 = "stratum+tcp://" ascii wide
        $pool2 = "stratum+ssl://" ascii wide
        $work1 = "mining.authorize"
        $work2 = "mining.subscribe"
        $work3 = "donate-level"
        $work4 = "xmrig" nocase
        $algorithm1 = "randomx" nocase
        $algorithm2 = "cryptonight" nocase
        $algorithm3 = "ethash" nocase
        $algorithm4 = "kawpow" nocase
        $algorithm5 = "scrypt:" nocase
    condition:
        (uint16(0) == 0x5A4D or uint32be(0) == 0x7F454C46) and filesize < 100MB and 1 of ($pool*) and 1 of ($work*) and 1 of ($algorithm*)
}

rule miner_in_web_page {
    meta:
        description = "Web page or script that makes the computers of its visitors mine cryptocurrency."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1496/"
        false_positives = "Lists of blocked addresses name some of these words; the rule asks for the call as well."
    strings:
        $call1 = /new\s{1,4}(CoinHive|CoinImp|Client|CryptoLoot|CRLT|JSEcoin|deepMiner|Mineralt)\s{0,2}\.\s{0,2}(Anonymous|User|Init)\s{0,2}\(\s{0,2}["'][A-Za-z0-9]{16}/
        $script1 = "coinhive.min.js" nocase
        $script2 = "coinimp" nocase
        $script3 = "deepMiner" nocase
        $script4 = "crypta.js" nocase
        $script5 = "authedmine" nocase
        $start = /\.\s{0,2}start\s{0,2}\(/
    condition:
        filesize < 2MB and $call1 and $start and 1 of ($script*)
}
