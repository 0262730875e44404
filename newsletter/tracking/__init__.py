"""STATION 4: the world answers.

Comes in: webhooks, opens, clicks, unsubscribes, in any order and any number of times. Goes out: the balance sheet and its counters.
Never makes a reader wait, never counts twice, never believes an unsigned word.
"""
