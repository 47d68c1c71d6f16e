"""From earnings to approved payouts and their orders."""
