"""The last days: a payout in every state and an order in every open one, so that every page has something to show.

The provider's faults are switched on for single orders by their numbers and off again at the end; the channel stays open.
"""

from collections.abc import Iterator
from datetime import timedelta

from incentives.accounts.models import User
from incentives.operations.demo_company import people, provider
from incentives.operations.demo_company import programs as documents
from incentives.operations.demo_company.clock import as_of
from incentives.operations.demo_company.history import Story, settle_down
from incentives.participants import services as participants
from incentives.payouts import services as payouts
from incentives.payouts.models import Payout
from rewards import services as rewards
from rewards.models import RewardOrder
from rewards.sweep import sweep_once
from rewards.webhooks import record_hint

REFUSED, FAILS_LATER, STUCK, UNKNOWN, UNFUNDED = "400", "pending_failed", "pending_forever", "504_before", "422"


class Ending:
    """Call `write()` once, after the story's last day."""

    def __init__(self, story: Story):
        self.story, self.company = story, story.company
        self.faults: list[dict] = []

    def user(self, who: people.SignIn) -> User:
        return self.company.user(who)

    def write(self) -> None:
        now = self.story.now
        with as_of(now - timedelta(hours=20)):
            self._change_an_address()
            self._choose_for_somebody()
            self.story.build(documents.CHANNEL)
            self._decide_on_quotas(self.story.build(documents.QUOTA))
            others = self._decide_on_bonuses(self.story.build(documents.BONUS))
            self.story.order()
        with as_of(now - timedelta(hours=3)):
            self._go_wrong(others)
        self.story.work()
        self._look_at_the_failed_one()
        self._run_out_of_funds(next(others))
        self.story.approve([next(others)])  # its order is ready, and goes out as soon as a worker runs
        provider.switch_faults([])
        settle_down()
        rewards.refresh_catalogue(force=True)

    # --- decisions ----------------------------------------------------------------------------------------------------
    def _change_an_address(self) -> None:
        """Payouts to this person wait until finance has had a look."""
        person = self.company.participants["Priya Nair"]
        participants.update_participant(
            person, actor=self.user(people.MANAGER), reason="Asked by telephone", email="priya.n@example.com"
        )

    def _choose_for_somebody(self) -> None:
        """The big deals' bonuses wait for their recipients' choice; one of them asked the manager. The rep shown still chooses."""
        asked = Payout.objects.filter(choice__product_code="", status=Payout.Status.SUBMITTED).order_by("pk")
        one = next(payout for payout in asked if not self._is_shown(payout))
        payouts.choose_for(
            payout_id=one.pk, product_id="PAGETURN", actor=self.user(people.MANAGER), reason="Asked by telephone."
        )

    def _decide_on_quotas(self, built: list[Payout]) -> None:
        """The largest has the first of its two approvals, one is held for review, a few small ones went out, the rest waits."""
        large = max(built, key=lambda payout: payout.amount_minor)
        payouts.approve_payout(payout_id=large.pk, actor=self.user(people.FINANCE), seen_hash=large.content_hash)
        rest = [payout for payout in built if payout is not large and not self._is_shown(payout)]
        payouts.place_hold(
            payout_id=rest[0].pk, actor=self.user(people.FINANCE), reason="Two large deals to be confirmed."
        )
        small = [payout for payout in rest[1:] if len(payout.steps) == 1 and not payout.holds.exists()]
        self.story.approve(small[:6])

    def _is_shown(self, payout: Payout) -> bool:
        return payout.recipient_name == people.REP.name

    def _decide_on_bonuses(self, built: list[Payout]) -> Iterator[Payout]:
        """Some are rejected, cancelled, delivered or left waiting; gives those that are still to go wrong."""
        normal = [one for one in built if one.steps and not self._is_shown(one) and not one.holds.exists()]
        rejected, cancelled, taken_back, waiting = normal[:2], normal[2], normal[3], normal[-7:]
        payouts.reject_many(
            ids=[payout.pk for payout in rejected], actor=self.user(people.FINANCE),
            reason="The customer has not confirmed the contract yet.",
        )  # fmt: skip
        payouts.cancel_payout(payout_id=cancelled.pk, actor=self.user(people.MANAGER), reason="Built too early.")
        self.story.approve([taken_back])
        payouts.cancel_payout(
            payout_id=taken_back.pk, actor=self.user(people.FINANCE), reason="The rep asked us to wait."
        )
        others = normal[4:13]
        self.story.approve([one for one in normal[13:] if one not in waiting])
        return iter(others)

    # --- the provider misbehaves --------------------------------------------------------------------------------------
    def _go_wrong(self, others: Iterator[Payout]) -> None:
        """Seven orders with seven fates: three in progress, one failed there, one refused, two nobody is sure of."""
        fates = (STUCK, STUCK, FAILS_LATER, REFUSED, UNKNOWN, UNKNOWN, UNKNOWN)
        sent = {fate: [] for fate in fates}
        for fate in fates:
            payout = next(others)
            self.story.approve([payout])
            payout.refresh_from_db()
            self._fault(fate, payout)
            sent[fate].append(payout.order_id)
        self._send()
        self.failed_there = sent[FAILS_LATER][0]
        asked, given_up, _still_unknown = sent[UNKNOWN]
        self._ask_for_review(asked)
        self._give_up(given_up)

    def _fault(self, fate: str, payout: Payout) -> None:
        self.faults.append({"fault": fate, "po": payout.order.po_number, "seconds": 0})
        provider.switch_faults(self.faults)

    def _send(self) -> None:
        sweep_once(inline=True, seconds=1)

    def _ask_for_review(self, order_id: int) -> None:
        name = str(self.user(people.FINANCE))
        rewards.send_to_review(order_id, actor_name=name, reason="No answer from the provider; asked their support.")

    def _give_up(self, order_id: int) -> None:
        """The provider's support says that there is no card: the money returns to the budget."""
        self._ask_for_review(order_id)
        rewards.resolve_review(
            order_id, decision="fail", actor_name=str(self.user(people.SECOND_FINANCE)),
            reason="No order under this number.", evidence="Support ticket 48213: never received.",
        )  # fmt: skip

    def _look_at_the_failed_one(self) -> None:
        """Its webhook came: the provider reports that the order failed, and a person has to decide."""
        record_hint(RewardOrder.objects.get(pk=self.failed_there))
        self._send()

    def _run_out_of_funds(self, payout: Payout) -> None:
        """The deposit was empty for a moment: the channel paused, and is open again. The order waits for its next turn."""
        self.story.approve([payout])
        payout.refresh_from_db()
        self._fault(UNFUNDED, payout)
        self._send()
        rewards.open_channel(actor_name=str(self.user(people.FINANCE)), reason="The deposit account was funded.")
