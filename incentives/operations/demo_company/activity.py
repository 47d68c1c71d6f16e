"""A live feel: a deal is won every 20 seconds, posted to the generic endpoint as a customer's CRM would.

    python -m incentives.operations.demo_company.activity http://127.0.0.1:8000 var/demo/activity.json

One of `make demo`'s processes, unless that is started with ARGS=--quiet. Uses nothing of Laurel but its public endpoint.
"""

import json
import random
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from incentives.operations.demo_company.deals import Deal, event_of, fresh_deal

EVERY_SECONDS = 20
CORRECTED = 0.15
"""Share of deals whose amount is corrected with the next post."""


def post(address: str, secret: dict, event: dict) -> bool:
    """Whether it was taken. While the web server starts or stops it is not, and the next deal tries again."""
    request = urllib.request.Request(  # noqa: S310 (our own address)
        f"{address}/hooks/{secret['token']}/events",
        json.dumps(event).encode(),
        {"Authorization": f"Bearer {secret['key']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return response.status in (200, 202)
    except (urllib.error.URLError, OSError):
        return False


def run(address: str, secret: dict) -> None:
    dice = random.Random()
    number, earlier = int(time.time()), None
    while True:
        time.sleep(EVERY_SECONDS)
        now, number = datetime.now(UTC), number + 1
        if earlier and dice.random() < CORRECTED:
            post(address, secret, corrected(earlier, now))
        deal = fresh_deal(dice, now, number)
        earlier = deal if post(address, secret, event_of(deal, "deal.won", deal.won_at, "Closed Won")) else None


def corrected(deal: Deal, now: datetime) -> dict:
    """One unit more of its first line."""
    line = deal.lines[0]
    quantity = int(line["quantity"]) + 1
    price = int(line["unit_price"].removesuffix(".00"))
    deal.lines = [line | {"quantity": str(quantity), "total": f"{price * quantity}.00"}, *deal.lines[1:]]
    return event_of(deal, "deal.updated", now - timedelta(seconds=1), "Closed Won")


def main() -> None:
    address, path = sys.argv[1:]
    try:
        run(address, json.loads(Path(path).read_text()))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
