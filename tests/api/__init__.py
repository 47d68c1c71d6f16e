"""The REST API: tokens, errors, repeats, and each resource."""
