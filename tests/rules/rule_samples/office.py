import struct

from forensics.rule_externals import Externals
from rule_samples.building import OLE, Sample, text, wide


def _record(number: int, body: bytes) -> bytes:
    """A BIFF8 record ([MS-XLS] 2.1.4)."""
    return struct.pack("<HH", number, len(body)) + body


def _sheet(hidden: int, kind: int) -> bytes:
    """BoundSheet8 ([MS-XLS] 2.4.28): offset, hidden state, type (1: macro sheet), name."""
    return _record(0x85, struct.pack("<IBBBB", 0x400, hidden, kind, 6, 0) + b"Macro1")


# Lbl ([MS-XLS] 2.4.150) with fBuiltin and the built-in name 1, Auto_Open (section 2.5.66 for the layout of its name).
_AUTO_OPEN = _record(0x18, struct.pack("<HBBHHHBBBB", 0x20, 0, 1, 7, 0, 0, 0, 0, 0, 0) + b"\0\x01" + bytes(7))
_PRINT_AREA = _record(0x18, struct.pack("<HBBHHHBBBB", 0x20, 0, 1, 7, 0, 0, 0, 0, 0, 0) + b"\0\x06" + bytes(7))
_ZIP = b"PK\x03\x04" + bytes(26)
_RELS = (
    '<Relationship Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attached^Template" '
    'Target="{}" TargetMode="External"/>'
)

SAMPLES = (
    Sample(
        rule="office_macro_starts_program",
        hit=OLE + wide("_VBA_PRO^JECT") + text(" Auto^Open ") + text("WScript.Sh^ell"),
        near_miss=OLE + wide("_VBA_PROJECT") + text(" AutoOpen MsgBox Worksheets"),
    ),
    Sample(
        rule="office_macro_source_fetches_program",
        hit=text('Sub Auto^Open()\r\nSet x = Create^Object("MSXML2.^XMLHTTP")\r\nSh^ell p, 0\r\nEnd Sub'),
        near_miss=text('Sub AutoOpen()\r\nSet x = CreateObject("Scripting.Dictionary")\r\nx.Add 1, 2\r\nEnd Sub'),
    ),
    Sample(
        rule="office_xlm_macro_hidden",
        hit=OLE + _sheet(1, 1) + _AUTO_OPEN,
        near_miss=OLE + _sheet(0, 1) + _sheet(1, 0) + _PRINT_AREA,
    ),
    Sample(
        rule="office_dde_command",
        hit=text('DDE^AUTO "C:\\\\Windows\\\\System32\\\\cm^d.exe" "/k echo"'),
        near_miss=text("The DDE server of Excel, DDEAUTO excel, and the cmd window.\r\n=SUM(A1:A3)|'x'!A1"),
    ),
    Sample(
        rule="office_template_from_network",
        hit=text(_RELS.format("http://example.org/t.dotm")),
        near_miss=text(_RELS.format("C:\\Templates\\letter.dotm")),
    ),
    Sample(
        rule="office_macro_under_plain_name",
        hit=_ZIP + b"word/vbaProject.bin",
        near_miss=_ZIP + b"word/vbaProject.bin",
        externals=Externals(filename="Invoice.DOCX", extension=".DOCX"),
        near_externals=Externals(filename="Invoice.docm", extension=".docm"),
    ),
    Sample(
        rule="office_rtf_equation_exploit",
        hit=text("{\\rtf1{\\object\\objemb{\\*\\obj^data 0105000002000000 0b000000 4571756174^696f6e2e33 00}}}"),
        near_miss=text("{\\rtf1{\\object\\objemb{\\*\\objdata 0105000002000000 0b000000 457863656c2e536865657400}} Equation 3}"),
    ),
    Sample(
        rule="office_rtf_embedded_program",
        hit=text("{\\rtf1{\\object\\objemb{\\*\\obj^data 5061636b^61676500 612e65^786500}}}"),
        near_miss=text("{\\rtf1{\\object\\objemb{\\*\\objdata 5061636b61676500 612e74787400}}}"),
    ),
)
