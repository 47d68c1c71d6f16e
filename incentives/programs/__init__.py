"""Programs, their versions and targets; rules/ holds the pure scoring."""
