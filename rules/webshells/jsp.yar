// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule webshell_jsp_command {
    meta:
        description = "JSP page that runs a command that the visitor sends: a back door on a Java web server."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "Lessons and vulnerable-on-purpose training sites."
    strings:
        $tag = /<%[@!=#\s]/
        $tag_xml = "<jsp:scriptlet" nocase
        $direct = /\.\s{0,4}(exec|eval)\s{0,4}\(\s{0,4}request\s{0,4}\.\s{0,4}getParameter/
        $run1 = /getRuntime\s{0,4}\(\s{0,4}\)\s{0,4}\.\s{0,4}exec\s{0,4}\(/
        $run2 = "new ProcessBuilder("
        $request = /request\s{0,4}\.\s{0,4}getParameter\s{0,4}\(/
        $output = /getInputStream\s{0,4}\(\s{0,4}\)/
    condition:
        filesize < 1MB and 1 of ($tag*) and ($direct or (1 of ($run*) and $request and $output))
}

rule webshell_jsp_drops_file {
    meta:
        description = "JSP page that writes a file under a name that a visitor sends: it brings further programs onto the server."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "Upload pages written without care."
    strings:
        $tag = /<%[@!=#\s]/
        $write = /new\s{1,4}(java\.io\.)?(FileOutputStream|FileWriter|RandomAccessFile)\s{0,4}\([^;\r\n]{0,120}request\s{0,4}\.\s{0,4}getParameter\s{0,4}\(/
    condition:
        filesize < 256KB and $tag and $write
}

rule webshell_jsp_loads_class {
    meta:
        description = "JSP page that turns bytes sent by the visitor into a program and runs it in memory."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1620/"
        false_positives = "Hardly any."
    strings:
        $tag = /<%[@!=#\s]/
        $loader = /extends\s{1,4}(java\.lang\.)?ClassLoader/
        $define = /defineClass\s{0,4}\(/
        $request1 = /request\s{0,4}\.\s{0,4}get(Parameter|Reader|InputStream|Header)\s{0,4}\(/
        $decode1 = "Cipher.getInstance("
        $decode2 = "BASE64Decoder"
        $decode3 = "Base64.getDecoder("
        $decode4 = "java.util.Base64"
    condition:
        filesize < 1MB and $tag and $loader and $define and $request1 and 1 of ($decode*)
}
