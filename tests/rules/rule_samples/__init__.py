"""Two inert samples for each rule that Evidex ships: one that must hit and a near one that must not.

Nothing here works as what it resembles. Texts are stored with `^` inside the words that scanners on a developer's machine
look for; `building.text` takes it out. One module a subject, named like the folder in `rules/`.
"""
