"""Every door of the application against the one table of permissions: pages, services, the Django admin, commands.

The tests find the doors by themselves, so that a new one that nobody thought about fails; each message says what to add where.
"""
