"""What others install: that it stands alone, and that its examples do what they say."""
