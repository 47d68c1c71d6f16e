"""Credits, scorecards and earnings: facts become amounts by recomputation, differences are posted."""
