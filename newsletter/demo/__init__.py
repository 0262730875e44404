"""Behind `make run` and `make demo`: the built-in inbox, simulated readers, and a rehearsal that counts at the receiving end.

Takes mail over SMTP on loopback and answers over HTTP on loopback. Never calls anybody else's site; never runs in production.
"""
