"""Who did what to which exhibit, when, with what: a signed, chained log that anyone can check without Evidex.

FORMAT.md states the bytes. Nothing here imports the rest of Evidex.

Bytes           encoding, envelope, statement, events, merkle, checkpoint, roster, manifest, regular_file
Keys            keys, key_files, identity
Writing         tail, high_water, log, recorder, service_process; service is what a caller uses
Checking        findings, account, trust, verify_log, verify_results; verify is what a caller uses
Reading         show
Failures        errors
"""
