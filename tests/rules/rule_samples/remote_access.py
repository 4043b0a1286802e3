import struct

from rule_samples.building import Sample, pe, text


def _settings(key: int) -> bytes:
    """The first three settings, each as number, kind, length, value, big-endian, scrambled with one byte; all values 0."""
    plain = struct.pack(">HHHH", 1, 1, 2, 0) + struct.pack(">HHHH", 2, 1, 2, 0) + struct.pack(">HHHI", 3, 2, 4, 0)
    return bytes(byte ^ key for byte in plain)


SAMPLES = (
    Sample(rule="remote_access_cobalt_strike", hit=bytes(64) + _settings(0x69), near_miss=bytes(64) + _settings(0x00)),
    Sample(
        rule="remote_access_meterpreter",
        hit=pe(tail=text("Reflective^Loader core_^loadlib stdapi_^fs_x")),
        near_miss=pe(tail=text("ReflectiveLoader is a name that this scanner knows; core_loadlib")),
    ),
    Sample(
        rule="remote_access_tunnel_program",
        hit=pe(tail=text("/go/pkg/github.com/jpill^ora/chisel/client")),
        near_miss=text("See github.com/jpill^ora/chisel/ for the source"),
    ),
    Sample(
        rule="remote_access_anydesk_unattended",
        hit=text('AnyDesk.exe --inst^all "C:\\ProgramData\\AnyDesk" --start-with-win --sil^ent'),
        near_miss=text('AnyDesk.exe --inst^all "C:\\ProgramData\\AnyDesk"\r\nother --sil^ent'),
    ),
    Sample(
        rule="remote_access_tunnel_settings",
        hit=text("[common]\nserver_^addr = 192.0.2.1\nserver_^port = 7000\n[a]\nlocal_^port = 3389\n"),
        near_miss=text("[web]\nserver_addr = 192.0.2.1\nserver_port = 7000\n[a]\nlocal_port = 8080\n"),
    ),
)
