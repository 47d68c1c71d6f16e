"""Budgets and the postings that move money between accounts: it always balances and only grows."""
