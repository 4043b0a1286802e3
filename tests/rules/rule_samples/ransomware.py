from rule_samples.building import Sample, pe, text, wide

_COMMANDS = "vssad^min.exe delete sha^dows /all /quiet\r\nbcded^it /set {default} recovery^enabled no\r\n"

SAMPLES = (
    Sample(
        rule="ransomware_note",
        hit=text(
            "All your important fi^les have been encr^ypted!\r\nTo decr^ypt them install Tor Brow^ser and pay in bit^coin. "
            "Do not re^name files. The pri^ce will double in 72 ho^urs. Your personal ID: 0"
        ),
        near_miss=text(
            "Your fi^les have been encr^ypted with BitLocker by your company. Keep the decryption key in a safe place. "
            "Do not re^name the key file. Contact us at the help desk in room 3."
        ),
    ),
    Sample(
        rule="ransomware_note_data_theft",
        hit=text(
            "We have down^loaded 400 GB from your net^work. If you re^fuse to pay the ran^som it will be pub^lished on our blog: "
            "http://example.on^ion. Contact us within 3 days."
        ),
        near_miss=text(
            "We have down^loaded the update. The results will be published in our blog. Your data stays with you. Contact us within 3 days."
        ),
    ),
    Sample(
        rule="ransomware_program_destroys_backups",
        hit=pe(tail=wide(_COMMANDS)),
        near_miss=pe(tail=wide("vssad^min.exe delete sha^dows /for=d: /oldest ; wbadmin get versions")),
    ),
    Sample(
        rule="ransomware_script_destroys_backups",
        hit=text("@echo off\r\n" + _COMMANDS),
        near_miss=text(
            "@echo off\r\nvssadmin list shadows\r\nbcdedit /set {default} recoveryenabled yes\r\n"
            "vssad^min delete sha^dows /for=d: /oldest\r\n"
        ),
    ),
    Sample(
        rule="ransomware_wannacry_file",
        hit=text("WANA^CRY!") + (256).to_bytes(4, "little") + bytes(300),
        near_miss=text("WANA^CRY! is the mark at the start of files that this program left.") + bytes(300),
    ),
)
