"""Ordering gift cards so that nothing is paid twice. Knows nothing of incentives."""
