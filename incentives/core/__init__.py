"""Shared by every app: audit trail, errors a user may read, fields, lists, template tags."""
