"""Puts this folder's builders of volumes on the path of the tests below it, too."""
