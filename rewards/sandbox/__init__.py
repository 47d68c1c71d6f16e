"""A stand-in for the provider: a real HTTP server with books of its own and faults that can be switched on.

It shares no code with the client: what it accepts and answers is written from the contract alone.
"""
