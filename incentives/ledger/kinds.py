"""The kind of notice that budgets and the deposit send, by name."""

ALERT = "budgets.alert"
