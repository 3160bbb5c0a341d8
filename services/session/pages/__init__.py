"""Pages that are rendered here, for people with a browser and nothing else.

They call the flows that `api` calls, through the same edge: there are no other rules here.
"""
