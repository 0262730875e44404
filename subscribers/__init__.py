"""People, their consent, and whom we may not write to.

Answers one question: whom may we write to, and why? Comes in: a visitor's request, a reader's decision, a file of
addresses. Goes out: the reachable subscribers of a mailing list, and signals that say what happened. Never sends mail,
never imports newsletter.
"""
