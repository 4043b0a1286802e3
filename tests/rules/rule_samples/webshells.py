from rule_samples.building import Sample, text

SAMPLES = (
    Sample(
        rule="webshell_php_runs_request",
        hit=text("<?php @ev^al(base64_^decode($_PO^ST['x'])); ?>"),
        near_miss=text("<?php $name = trim($_PO^ST['x']); curl_exec($handle); echo htmlspecialchars($name); ?>"),
    ),
    Sample(
        rule="webshell_php_request_names_function",
        hit=text("<?php $_G^ET['f']($_PO^ST['c']); ?>"),
        near_miss=text("<?php $allowed[$_G^ET['f']]($clean); $x = $_G^ET['f'] . $_PO^ST['c']; ?>"),
    ),
    Sample(
        rule="webshell_php_packed_code",
        hit=text("<?php ev^al(gzin^flate(base64_^decode('" + "Ab0" * 20 + "'))); ?>"),
        near_miss=text("<?php $icon = gzin^flate(base64_^decode('" + "Ab0" * 20 + "')); ?>"),
    ),
    Sample(
        rule="webshell_php_console",
        hit=text(
            "<?php echo php_^uname(); $u = posix_^getpwuid(1); if ($_PO^ST['c']) { pass^thru($cmd); } "
            "move_uploaded_^file($a, $b); ch^mod($b, 0644); ?><form method='post'></form>"
        ),
        near_miss=text(
            "<?php echo php_^uname(); echo ini_get('disable_functions'); move_uploaded_^file($a, $b); ch^mod($b, 0644); "
            "if ($_PO^ST['c']) { log_line($cmd); } ?><form method='post'></form>"
        ),
    ),
    Sample(
        rule="webshell_php_inside_image",
        hit=b"GIF89a" + text("<?php ev^al($_PO^ST['x']); ?>"),
        near_miss=b"GIF89a" + text("made with <?php echo 'hello'; ?> and $_POST, no code that runs it"),
    ),
    Sample(
        rule="webshell_asp_runs_request",
        hit=text('<%@ Page Language="Jscript"%><%ev^al(Requ^est.Item["x"],"unsafe");%>'),
        near_miss=text('<%@ Page Language="C#"%><%= Server.HtmlEncode(Request.Form["x"]) %> <span>evaluate</span>'),
    ),
    Sample(
        rule="webshell_aspx_command",
        hit=text(
            '<%@ Page Language="C#" %><%@ Import Namespace="System.Diag^nostics" %><% var i = new ProcessStart^Info("cm^d.exe", '
            '"/c " + Requ^est["c"]); i.RedirectStandard^Output = true; %>'
        ),
        near_miss=text(
            '<%@ Page Language="C#" %><%@ Import Namespace="System.Diag^nostics" %><% var p = new ProcessStartInfo("report.exe"); '
            'p.RedirectStandardOutput = true; Log(Request["c"]); %>'
        ),
    ),
    Sample(
        rule="webshell_aspx_loads_program",
        hit=text('<%@ Page Language="C#" %><% Assem^bly.Load(Request.Binary^Read(10)).Create^Instance("U"); %>'),
        near_miss=text('<%@ Page Language="C#" %><% Assem^bly.Load("Known.Parts").Create^Instance("U"); var n = Request.Url; %>'),
    ),
    Sample(
        rule="webshell_jsp_command",
        hit=text('<%@ page import="java.io.*" %><% Runtime.get^Runtime().ex^ec(request.get^Parameter("c")); %>'),
        near_miss=text(
            '<%@ page import="java.io.*" %><% long f = Runtime.getRuntime().freeMemory(); String q = request.getParameter("c"); %>'
        ),
    ),
    Sample(
        rule="webshell_jsp_loads_class",
        hit=text(
            '<%@ page import="java.util.*" %><%! class U extends Class^Loader '
            "{ Class g(byte[] b) { return super.define^Class(b, 0, 1); } } %>"
            '<% Cipher.get^Instance("AES"); request.get^Reader(); %>'
        ),
        near_miss=text(
            '<%@ page import="java.util.*" %><%! class U extends ClassLoader { Class g(String n) { return findSystemClass(n); } } %>'
            '<% Cipher.getInstance("AES"); request.getReader(); %>'
        ),
    ),
    Sample(
        rule="webshell_php_small_command",
        hit=text("<?php $c = base64_^decode($_G^ET['c']); sys^tem($c); ?>"),
        near_miss=text("<?php $c = $_GET['c']; echo file_exists($c) ? 'yes' : 'no'; $db->exec($sql); ?>"),
    ),
    Sample(
        rule="webshell_php_callback",
        hit=text("<?php array_^map('ass^ert', array($_PO^ST['x'])); ?>"),
        near_miss=text("<?php $clean = array_map('trim', $_POST); $user->load($_POST['x']); ?>"),
    ),
    Sample(
        rule="webshell_php_drops_file",
        hit=text("<?php file_put_^contents($_PO^ST['n'], base64_^decode($_PO^ST['c'])); ?>"),
        near_miss=text("<?php file_put_contents($cache, $_POST['c']); fwrite($log, $_POST['n']); ?>"),
    ),
    Sample(
        rule="webshell_asp_command",
        hit=text(
            '<% Set s = Server.Create^Object("WScr^ipt.Shell"): Response.Write s.Ex^ec("cm^d.exe /c " & Requ^est("c")).StdOut.ReadAll %>'
        ),
        near_miss=text(
            '<% Set s = Server.CreateObject("ADODB.Connection"): s.Execute "select 1": n = Request("c") %> cm^d.exe is not used'
        ),
    ),
    Sample(
        rule="webshell_asp_encoded",
        hit=text("<%@ LANGUAGE = VBScr^ipt.Enc^ode %><%#@^~^" + "AAAA==%>").replace(b"#@~", b"#@~\x5e"),
        near_miss=text("<%@ LANGUAGE = VBScript %><% ' VBScript.Encode scrambles pages %>"),
    ),
    Sample(
        rule="webshell_jsp_drops_file",
        hit=text('<%@ page import="java.io.*" %><% new FileOutput^Stream(application.getRealPath("/") + request.get^Parameter("f")); %>'),
        near_miss=text(
            '<%@ page import="java.io.*" %><% new FileOutputStream(File.createTempFile("a", "b")); request.getParameter("f"); %>'
        ),
    ),
)
