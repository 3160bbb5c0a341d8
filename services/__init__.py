"""The services of Countersign, and the modules that compose them."""
