"""The audit bus: the form of an event on the wire, where it goes, and how it gets there.

`wire` is the event as others read it; `topology` the exchanges and queues, and `lists` what a redis
transport has for queues; `publisher` hands batches to the broker and waits until it has them;
`reach` asks if a broker is there.
"""
