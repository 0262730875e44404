"""Whole paths on real processes, by public doors only: commands, HTTP, SMTP, the clock. Each in two worlds (worlds.py)."""
