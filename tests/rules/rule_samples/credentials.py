from rule_samples.building import Sample, pe, text, wide

_LM = "aad3b435b514^04eeaad3b435b51404ee"
_NT = "31d6cfe0d16ae9^31b73c59d7e0c089c0"
_ENTRY = "URL: https://example.org/login\r\nUsername: somebody\r\nPassword: not-a-secret\r\n\r\n"

SAMPLES = (
    Sample(
        rule="credentials_mimikatz_commands",
        hit=text("privi^lege::debug\r\nsekur^lsa::logon^passwords\r\n"),
        near_miss=text("privi^lege::debug is one command; kerberos::list another; sekurlsa is a part of the program"),
    ),
    Sample(
        rule="credentials_mimikatz_output",
        hit=text(
            "Authentic^ation Id : 0 ; 1234\r\n\t * User^name : somebody\r\n\t * Dom^ain   : EXAMPLE\r\n"
            "\t * NT^LM     : 00000000000000000000000000000000"
        ),
        near_miss=text("Authentication Id : 0 ; 1234\r\nUsername : somebody\r\nDomain : EXAMPLE\r\nNTLM : enabled"),
    ),
    Sample(
        rule="credentials_mimikatz_program",
        hit=pe(tail=wide("gentil^kiwi mimi^katz ") + text("kuhl_m_^sekurlsa_x kuhl_m_^lsadump_x")),
        near_miss=pe(tail=wide("mimi^katz is what this program looks for") + b"KerberosTickets"),
    ),
    Sample(
        rule="credentials_lsass_dump_command",
        hit=wide("rundll32.exe C:\\Windows\\System32\\coms^vcs.dll, Mini^Dump 624 C:\\x.dmp full"),
        near_miss=wide("regsvr32.exe C:\\Windows\\System32\\comsvcs.dll\r\nproc^dump -ma notepad.exe\r\nlsa^ss.exe is running"),
    ),
    Sample(
        rule="credentials_lsass_memory_dump",
        hit=b"MD^MP".replace(b"^", b"")
        + bytes(64)
        + wide("C:\\Windows\\System32\\lsa^ss.exe C:\\Windows\\System32\\lsa^srv.dll C:\\Windows\\System32\\wdi^gest.dll"),
        near_miss=b"MD^MP".replace(b"^", b"")
        + bytes(64)
        + wide("C:\\Windows\\explorer.exe C:\\Windows\\System32\\kerberos.dll C:\\Windows\\System32\\wdigest.dll"),
    ),
    Sample(
        rule="credentials_password_hash_list",
        hit=text("".join(f"person{n}:{1000 + n}:{_LM}:{'0' * 32}:::\n" for n in range(3))),
        near_miss=text(f"The LM hash of nothing is {_LM} and the NT hash of nothing {_NT}.\nperson:1000:{_LM}:{'0' * 32}:::\n"),
    ),
    Sample(
        rule="credentials_secretsdump",
        hit=text("[*] Target system boot^Key: 0x00\n[*] Dumping local SAM ^hashes (uid:rid:lmhash:nthash)\n"),
        near_miss=text("[*] Target system bootKey: unknown\n[*] Dumping local tables (uid:rid)\n"),
    ),
    Sample(
        rule="credentials_hive_copy_command",
        hit=text("reg.exe sa^ve hklm\\s^am C:\\Temp\\1"),
        near_miss=text("reg.exe save hklm\\software\\sample C:\\Temp\\1\r\nreg query hklm\\sam"),
    ),
    Sample(
        rule="credentials_hash_text_of_kerberos",
        hit=text("$krb5^tgs$23$*service$EXAMPLE$http/host*$" + "0" * 32 + "$00"),
        near_miss=text("$krb5^tgs$23$ is how such a line starts; $krb5^asrep$23$ another"),
    ),
    Sample(
        rule="credentials_lazagne",
        hit=text("|   The LaZ^agne Project   |\n|    ! BANG ^BANG !    |\n"),
        near_miss=text("The LaZagne Project is a program that security people know. Password found in the drawer!"),
    ),
    Sample(
        rule="credentials_stealer_log",
        hit=text(_ENTRY * 5),
        near_miss=text(_ENTRY * 4 + "URL: https://example.org/\r\nPassword: none\r\n"),
    ),
)
