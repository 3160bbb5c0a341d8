"""The services of Countersign, and the two modules that compose them."""
