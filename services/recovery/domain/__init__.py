"""The rules of recovery codes, and those of browsers that are trusted."""
