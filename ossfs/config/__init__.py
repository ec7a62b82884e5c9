"""Frozen, validated settings: defaults, then TOML file, then environment, then flags and `-o`.

Pure: arguments, environment and the text of files are passed in.
"""
