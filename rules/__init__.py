"""YARA rules that Evidex ships, read by path: one folder a subject, origin and licence in each file's meta."""
