"""The HTTP edge: what comes in is admitted, read within bounds and deadlines, understood, and answered.

`server` listens, `connection` guards each socket, `routes` leads from a path to its handler: `hooks` for senders,
`probes` for load balancers, `api` for people and programs, who pass `access` first. Whatever is refused is answered as
one of `problems`.
"""
