from __future__ import annotations

import pytest

from forensics.artifacts.dissect_source import known_functions
from forensics.artifacts.functions import Profile, functions_for
from forensics.artifacts.layout import table_name

SYSTEMS = ("windows", "linux", "macos", "default")


@pytest.mark.parametrize("os", SYSTEMS)
def test_triage_is_part_of_standard_and_standard_of_full(os):
    triage, standard, full = (functions_for(profile, os) for profile in Profile)
    assert standard[: len(triage)] == triage
    assert full[: len(standard)] == standard


@pytest.mark.parametrize("os", SYSTEMS)
def test_no_function_is_listed_twice_and_no_two_share_a_table(os):
    full = functions_for("full", os)
    assert len({table_name(name) for name in full}) == len(full)


@pytest.mark.parametrize("os", SYSTEMS)
def test_every_listed_function_is_one_of_dissect_target(os):
    assert set(functions_for("full", os)) <= known_functions()


@pytest.mark.parametrize("os", SYSTEMS)
def test_no_listed_function_is_the_compound_of_another(os):
    """A compound does again what its parts do: `amcache` yields what `amcache.applications` and its siblings yield."""
    full = functions_for("full", os)
    assert not [name for name in full if any(other.startswith(f"{name}.") for other in known_functions())]


@pytest.mark.parametrize(
    ("os", "functions"),
    [
        (
            "windows",
            (
                "hostname version users evtx prefetch runkeys services tasks shimcache amcache.applications userassist shellbags lnk "
                "jumplist.automatic_destination mru.recentdocs usb recyclebin browser.history browser.downloads browser.cookies "
                "activitiescache bam powershell_history defender.evtx sru.network_data"
            ),
        ),
        (
            "linux",
            (
                "hostname version users commandhistory syslog authlog journal wtmp utmp btmp lastlog cronjobs services packagemanager.logs "
                "dpkg.status ssh.authorized_keys ssh.known_hosts webserver.access"
            ),
        ),
    ],
)
def test_the_standard_profile_has_what_an_examiner_expects(os, functions):
    assert set(functions.split()) <= set(functions_for("standard", os))


def test_only_the_full_profile_reads_the_mft_and_the_usn_journal():
    assert not {"mft.records", "usnjrnl"} & set(functions_for("standard", "windows"))
    assert {"mft.records", "usnjrnl"} <= set(functions_for("full", "windows"))


def test_an_unknown_system_of_the_unix_family_gets_the_unix_lists():
    assert functions_for("triage", "esxi") == functions_for("triage", "linux")


def test_an_unknown_profile_is_refused():
    with pytest.raises(ValueError, match="everything"):
        functions_for("everything", "windows")
