// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later

rule webshell_php_runs_request {
    meta:
        description = "PHP page that runs whatever a visitor sends to it as a command or as code: a back door on a web server."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "Lessons and vulnerable-on-purpose training sites."
    strings:
        $tag = /<\?(php|=|\s)/ nocase
        $run = /[^a-z0-9_>](eval|assert|system|exec|shell_exec|passthru|popen|proc_open|pcntl_exec)\s{0,4}\(\s{0,4}@?((base64_decode|stripslashes|urldecode|trim|rawurldecode|gzinflate|hex2bin)\s{0,4}\(\s{0,4}@?){0,3}\$_(GET|POST|REQUEST|COOKIE|SERVER)\s{0,4}\[/ nocase
        $backtick = /`\s{0,4}\{?\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[/ nocase
    condition:
        filesize < 1MB and $tag and ($run or $backtick)
}

rule webshell_php_request_names_function {
    meta:
        description = "PHP page that lets the visitor choose both the function and what it is given: a very short back door."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "critical"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "Hardly any; test suites of security products."
    strings:
        $tag = /<\?(php|=|\s)/ nocase
        $call = /\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[[^\]\r\n]{1,40}\]\s{0,4}\(\s{0,4}@?((base64_decode|stripslashes|urldecode)\s{0,4}\(\s{0,4})?\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[/ nocase
    condition:
        filesize < 1MB and $tag and $call
}

rule webshell_php_small_command {
    meta:
        description = "Very short PHP page that takes something from the visitor and runs it as a command or as code."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "Short administration scripts written without care."
    strings:
        $tag = /<\?(php|=|\s)/ nocase
        $take = /\$[a-z_][a-z0-9_]{0,30}\s{0,4}=\s{0,4}\(?\s{0,4}@?((base64_decode|stripslashes|urldecode|trim|strrev|hex2bin)\s{0,4}\(\s{0,4}){0,2}\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[/ nocase
        $run = /[^a-z0-9_>:](eval|assert|system|shell_exec|passthru|popen|proc_open|exec)\s{0,4}\(\s{0,4}@?((base64_decode|stripslashes|urldecode|trim|strrev|hex2bin|\$[a-z_][a-z0-9_]{0,30})\s{0,4}\(\s{0,4}){0,2}\$[a-z_]/ nocase
    condition:
        filesize < 2KB and $tag and $take and $run
}

rule webshell_php_callback {
    meta:
        description = "PHP page that hands what a visitor sends to a function whose name is hidden or that runs commands."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "Short test scripts of programmers."
    strings:
        $tag = /<\?(php|=|\s)/ nocase
        $named = /(call_user_func|call_user_func_array|array_map|array_filter|array_walk|usort|uasort|uksort|register_shutdown_function|register_tick_function|forward_static_call)\s{0,4}\(\s{0,4}["'](assert|system|exec|eval|passthru|shell_exec|create_function)["']\s{0,4},[^;\r\n]{0,60}\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $variable = /(call_user_func|call_user_func_array|array_map|array_filter|array_walk|register_shutdown_function|register_tick_function|forward_static_call)\s{0,4}\(\s{0,4}\$[a-z_][a-z0-9_]{0,30}\s{0,4},\s{0,4}(\(array\)\s{0,4}|array\s{0,4}\(\s{0,4}|\[\s{0,4})?\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $direct = /[;{}\s@]\$[a-z_][a-z0-9_]{0,30}\s{0,4}\(\s{0,4}@?\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[/ nocase
    condition:
        $tag and (($named and filesize < 1MB) or (filesize < 2KB and ($variable or $direct)))
}

rule webshell_php_drops_file {
    meta:
        description = "PHP page that writes a file whose name and content a visitor sends: it brings further programs onto the server."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "Editors of web sites written without care."
    strings:
        $tag = /<\?(php|=|\s)/ nocase
        $write = /file_put_contents\s{0,4}\(\s{0,4}((base64_decode|stripslashes|urldecode|trim)\s{0,4}\(\s{0,4})?\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[[^\]\r\n]{1,40}\][^,;\r\n]{0,10},\s{0,4}((base64_decode|stripslashes|urldecode|hex2bin)\s{0,4}\(\s{0,4})?\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $open = /fwrite\s{0,4}\(\s{0,4}fopen\s{0,4}\(\s{0,4}\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[[^;\r\n]{1,60}\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
    condition:
        filesize < 1MB and $tag and any of ($write, $open)
}

rule webshell_php_packed_code {
    meta:
        description = "PHP page whose real code is packed into one long text and unpacked and run when the page is opened."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1027/"
        false_positives = "Commercial PHP programs that hide their source from their buyers."
    strings:
        $tag = /<\?(php|=|\s)/ nocase
        $packed = /(eval|assert)\s{0,4}\(\s{0,4}@?["']?\s{0,4}((gzinflate|gzuncompress|gzdecode|str_rot13|strrev|base64_decode|hex2bin|convert_uudecode)\s{0,4}\(\s{0,4}){2,5}["'][A-Za-z0-9+\/=_]{40}/ nocase
    condition:
        filesize < 5MB and $tag and $packed
}

rule webshell_php_console {
    meta:
        description = "PHP page that shows the server's particulars and runs typed commands: the control page of an intruder."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "Administration pages of web hosters."
    strings:
        $tag = "<?php" nocase
        $form = "<form" nocase
        $input = /\$_(GET|POST|REQUEST)\s{0,4}\[/
        $run = /(system|exec|shell_exec|passthru|popen|proc_open)\s{0,4}\(\s{0,4}\$[a-z_]/ nocase
        $fact1 = "php_uname(" nocase
        $fact2 = "posix_getpwuid(" nocase
        $fact3 = "disable_functions" nocase
        $fact4 = "safe_mode" nocase
        $fact5 = "disk_free_space(" nocase
        $file1 = "move_uploaded_file(" nocase
        $file2 = "chmod(" nocase
        $file3 = "fileperms(" nocase
        $file4 = "file_put_contents(" nocase
    condition:
        filesize < 1MB and $tag and $form and $input and $run and 2 of ($fact*) and 2 of ($file*)
}

rule webshell_php_inside_image {
    meta:
        description = "File that begins as a picture and holds PHP code that runs what a visitor sends: a back door dressed as a picture."
        author = "Evidex developers"
        licence = "AGPL-3.0-or-later"
        severity = "high"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
        false_positives = "Photographs of source code that carry it in their comments."
    strings:
        $tag = "<?php" nocase
        $tag_short = "<?="
        $run1 = /(eval|assert|system|shell_exec|passthru|exec|popen|base64_decode|create_function)\s{0,4}\(/ nocase
        $run2 = /\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[/
    condition:
        filesize < 20MB
                and (uint32be(0) == 0x47494638 or uint32be(0) == 0x89504E47 or uint16be(0) == 0xFFD8 or uint16be(0) == 0x424D)
                and 1 of ($tag*) and $run1 and $run2
}
