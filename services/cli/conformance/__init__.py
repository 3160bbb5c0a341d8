"""The conformance kit: holds a factor against the protocol from outside, over HTTP alone.

It stands with the command line, above the services: none of them needs it, and it knows of them no
more than `shared` does, so that it judges a factor that was written elsewhere as it does ours.
"""
