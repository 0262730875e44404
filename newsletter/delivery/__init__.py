"""STATION 3: an email becomes deliveries.

Comes in: a rendered Issue that is due. Goes out: one mail for each reachable candidate, and for every candidate a row that says
what became of it. Never sends twice unasked, never forgets: what nobody can know is called uncertain.
"""
