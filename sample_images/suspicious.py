"""Inert fragments of text that the YARA rules of the project look for, built from pieces so that no such text stands here whole."""

from __future__ import annotations


def ransom_note() -> str:
    """A letter such as ransomware leaves behind; the rule ransomware_note must match it."""
    locked = f"All your {'files have'} been {'encrypted'}. Your data have also been {'sto' + 'len'} and will be {'pub' + 'lished'}."
    pay = f"Pay in {'bit' + 'coin'} for the {'decryption' + ' key'}. The {'pr' + 'ice'} doubles after {'72' + ' hours'}."
    threat = f"Do not {'re' + 'name'} anything. Your {'personal' + ' id'}: 0000-SAMPLE. Use {'Tor' + ' Browser'} to reach us."
    return f"{locked}\r\n{pay}\r\n{threat}\r\nThis letter is part of a test image and harms nobody.\r\n"


def php_shell() -> str:
    """A line of PHP that would run what a visitor sends; the rules for PHP web shells must match it."""
    call = "ev" + "al"
    source = "$_" + "POST"
    return f"<?php @{call}({source}['x']); ?>\n"
