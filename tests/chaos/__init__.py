"""Faults while an issue goes out, counted at the receiving end: `make chaos`.

Comes in: a running Sosik on servers of its own. Goes out: a row a scenario with who got nothing, who got two, who is listed as
uncertain, and how long it took to go on. What the tables say is never believed without the receiver's count.
"""
