"""The way back in when a factor is lost, and the way not to be asked again."""
