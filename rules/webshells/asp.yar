// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule webshell_asp_runs_request {
    meta:
        description = "ASP or ASP.NET page that runs whatever a visitor sends to it as code: a back door on a Windows web server."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "Lessons about web shells."
    strings:
        $tag = /<%[@!=#\s]/
        $script = /language\s{0,2}=\s{0,2}["']?jscript/ nocase
        $eval = /\beval\s{0,4}\(/ nocase
        $request = /\brequest\s{0,4}[.\[(]/ nocase
        $run = /(eval|execute|executeglobal)[\s(]{1,6}request\s{0,4}(\.\s{0,4}(item|form|querystring|cookies|params|headers))?\s{0,4}[\[(]\s{0,4}["']/ nocase
    condition:
        filesize < 1MB and $tag and ($run or (filesize < 4KB and $script and $eval and $request))
}

rule webshell_asp_command {
    meta:
        description = "ASP page that starts a command line with what a visitor sends and shows its answer."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "In-house administration pages."
    strings:
        $tag = /<%[@!=#\s]/
        $create = /createobject\s{0,4}\(\s{0,4}["']wscript\.shell/ nocase
        $run = /\.\s{0,2}(exec|run)[\s(]/ nocase
        $shell = /(cmd\.exe|%comspec%|\/c\s)/ nocase
        $request = /\brequest\s{0,4}(\.\s{0,4}(form|querystring|item)\s{0,4})?\(\s{0,4}["']/ nocase
    condition:
        filesize < 1MB and all of them
}

rule webshell_asp_encoded {
    meta:
        description = "ASP page whose program text is scrambled so that it cannot be read on the server."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "medium"
        reference = "https://attack.mitre.org/techniques/T1027/"
        false_positives = "Older commercial ASP programs that hide their source from their buyers."
    strings:
        $tag = /<%@\s{0,8}(page\s{1,8})?language\s{0,4}=\s{0,4}["']?(vb|j)script\.encode/ nocase
        $code = "#@~^"
    condition:
        filesize < 1MB and all of them
}

rule webshell_aspx_command {
    meta:
        description = "ASP.NET page that starts a command line with what a visitor sends and shows its answer."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "In-house administration pages."
    strings:
        $tag = /<%@\s{0,8}page/ nocase
        $process = "System.Diagnostics" nocase
        $start1 = "ProcessStartInfo" nocase
        $start2 = "new Process(" nocase
        $start3 = "Process.Start(" nocase
        $shell1 = "cmd.exe" nocase
        $shell2 = "powershell" nocase
        $output = "StandardOutput" nocase
        $request = /request\s{0,4}(\.|\[)/ nocase
        $textbox = "runat=\"server\"" nocase
    condition:
        filesize < 1MB and $tag and $process and 1 of ($start*) and 1 of ($shell*) and $output and ($request or $textbox)
}

rule webshell_aspx_loads_program {
    meta:
        description = "ASP.NET page that loads a program sent by the visitor straight into memory."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1620/"
        false_positives = "Hardly any."
    strings:
        $tag = /<%@\s{0,8}(page|webhandler|webservice)/ nocase
        $load = /assembly\s{0,4}\.\s{0,4}load\s{0,4}\(/ nocase
        $create = /\.\s{0,4}createinstance\s{0,4}\(/ nocase
        $request = /request\s{0,4}(\.\s{0,4}(binaryread|inputstream|form|item|headers|cookies)|\[)/ nocase
    condition:
        filesize < 1MB and $tag and $load and $create and $request
}
