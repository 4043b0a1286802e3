from forensics.rule_externals import Externals, filetype_word


def test_a_windows_path_gives_what_public_rules_compare_with():
    given = Externals.of_path("Windows/System32/CMD.EXE", windows=True, filetype="EXE", owner="S-1-5-18")
    assert given == Externals(filename="CMD.EXE", filepath="\\Windows\\System32", extension=".exe", filetype="EXE", owner="S-1-5-18")


def test_a_unix_path_keeps_its_slashes_with_or_without_one_in_front():
    expected = Externals(filename="auth.log", filepath="/var/log", extension=".log")
    assert Externals.of_path("/var/log/auth.log", windows=False) == expected
    assert Externals.of_path("var/log/auth.log", windows=False) == expected


def test_a_file_in_the_root_has_the_root_as_its_folder():
    assert Externals.of_path("boot.img", windows=False).filepath == "/"
    assert Externals.of_path("boot.img", windows=True).filepath == "\\"


def test_names_without_an_extension_have_none():
    assert [Externals.of_path(name, windows=False).extension for name in ("README", ".bashrc", "a.b/c", "x.tar.GZ")] == ["", "", "", ".gz"]


def test_values_that_yara_could_not_take_are_escaped():
    given = Externals(filename="a\0b", filepath="\udcff").as_yara()
    assert given == {"filename": "a\\x00b", "filepath": "\\udcff", "extension": "", "filetype": "", "owner": ""}


def test_the_word_for_a_type_comes_from_the_first_bytes():
    heads = (b"MZ\x90\0", b"\x7fELF\x02", b"\xcf\xfa\xed\xfe", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"hello", b"")
    assert [filetype_word(head) for head in heads] == ["EXE", "ELF", "MACH-O", "OLE", "", ""]
