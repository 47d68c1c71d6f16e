"""`order_changed(order, old, new)`: sent inside the transaction of every change of state.

A receiver that raises rolls the change back; the order stays where it was and the sweep tries again, so that the order
and whatever the receiver writes (a ledger posting) move together or not at all. Receivers must not call the network.
"""

from django.dispatch import Signal

order_changed = Signal()

lines_changing = Signal()
"""`lines_changing(order)`: sent before several lines of the batch `order` change in one transaction. Whoever locks rows of their
own for each line takes all of them now, in the order of everybody's locks."""
