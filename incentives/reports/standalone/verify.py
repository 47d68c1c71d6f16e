"""Checks a full export of Laurel by itself: Python 3.9 or newer, nothing else, no Laurel.

    python verify.py [FOLDER or FILE.zip] [--manifest-sha256 DIGEST] [--books-only]

Without a name it checks the folder it lies in. Exit status 0: everything holds; 1: something does not, each line says what and
in which row; 2: this is no export. `--books-only` leaves out the files' checksums and checks what the rows say alone.

Memory: about three quarters of a gigabyte per million postings.
"""

import argparse
import hashlib
import io
import json
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

GENESIS = "0" * 64
MOST = 200
"""So many problems are written out; the others are counted."""


class NoExport(Exception):
    pass


# --- reading ------------------------------------------------------------------------------------------------------------
class Box:
    """The files, in a folder or in a ZIP."""

    def __init__(self, path):
        self.path = Path(path)
        self.archive = None if self.path.is_dir() else self._archive()
        self.problems = []
        self.manifest = self._json("manifest.json")
        self.dictionary = self._json("dictionary.json")

    def _archive(self):
        try:
            return zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile) as exc:
            raise NoExport(f"{self.path} is neither a folder nor a ZIP: {exc}") from exc

    def names(self):
        if self.archive:
            return [info.filename for info in self.archive.infolist() if not info.is_dir()]
        return [str(p.relative_to(self.path)).replace("\\", "/") for p in self.path.rglob("*") if p.is_file()]

    def open(self, name):
        return self.archive.open(name) if self.archive else (self.path / name).open("rb")

    def bytes(self, name):
        with self.open(name) as file:
            return file.read()

    def _json(self, name):
        try:
            return json.loads(self.bytes(name))
        except (OSError, KeyError, ValueError) as exc:
            raise NoExport(f"{self.path} holds no readable {name}: {exc}") from exc

    def say(self, text):
        self.problems.append(text)

    def rows(self, table):
        """The rows of a table as dicts; what cannot be read is a problem."""
        name = f"data/{table}.jsonl"
        if name not in self.manifest["files"]:
            return
        try:
            file = self.open(name)
        except (OSError, KeyError):
            return  # `files` says that it is missing
        with io.TextIOWrapper(file, encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if isinstance(row, dict) and isinstance(row.get("id"), int):
                    yield row
                else:
                    self.say(f"{name}, line {number}: not a row")


# --- the files ------------------------------------------------------------------------------------------------------------
def check_files(box):
    """Every file is there and as the manifest says, and each row as its digest says."""
    listed = box.manifest["files"]
    present = box.names()
    for name in sorted(set(present) - set(listed) - {"manifest.json"}):
        box.say(f"{name}: is not in the manifest")
    for name in sorted(
        {name for name in present if present.count(name) > 1} if len(set(present)) < len(present) else ()
    ):
        box.say(f"{name}: is there twice")
    for name, facts in listed.items():
        if name not in present:
            box.say(f"{name}: is missing")
            continue
        digest, size = hashlib.sha256(), 0
        with box.open(name) as file:
            for piece in iter(lambda: file.read(1 << 20), b""):
                digest.update(piece)
                size += len(piece)
        if digest.hexdigest() != facts["sha256"] or size != facts["bytes"]:
            box.say(f"{name}: was changed (SHA-256 {digest.hexdigest()}, the manifest says {facts['sha256']})")
            if name.startswith("data/"):
                name_rows(box, name)


def name_rows(box, name):
    """Which rows of a changed file differ from their digests."""
    table = name[len("data/") : -len(".jsonl")]
    try:
        wanted = [line.split() for line in box.bytes(f"digests/{table}.txt").decode().splitlines()]
    except (OSError, KeyError, ValueError):
        return
    expected = {int(pk): digest for pk, digest in wanted}
    seen = set()
    with box.open(name) as file:
        for line in file:
            try:
                pk = json.loads(line)["id"]
            except (ValueError, KeyError, TypeError):
                continue
            digest = hashlib.sha256(line).hexdigest()
            if pk in seen:
                box.say(f"{table} row {pk}: is there twice")
            elif pk not in expected:
                box.say(f"{table} row {pk}: was added")
            elif not digest.startswith(expected[pk]):
                box.say(f"{table} row {pk}: was changed")
            seen.add(pk)
    for pk in sorted(set(expected) - seen):
        box.say(f"{table} row {pk}: was removed")


def check_references(box):
    """Ids are unique and rising, and what a row refers to is there."""
    tables = box.dictionary["tables"]
    links = {
        table: [(n, f["to"]) for n, f in about["fields"].items() if f.get("to") in tables]
        for table, about in tables.items()
    }
    ids = {}
    for table in tables:
        ids[table], last = set(), 0
        for row in box.rows(table):
            if row["id"] in ids[table]:
                box.say(f"{table} row {row['id']}: is there twice")
            elif row["id"] < last:
                box.say(f"{table} row {row['id']}: stands after row {last}")
            ids[table].add(row["id"])
            last = max(last, row["id"])
    for table, fields in links.items():
        for row in box.rows(table) if fields else ():
            for name, to in fields:
                if row.get(name) is not None and row[name] not in ids[to]:
                    box.say(f"{table} row {row['id']}: {name} is {row[name]}, and {to} has no such row")


# --- the ledger -----------------------------------------------------------------------------------------------------------
class Ledger:
    """Accounts and postings, read once."""

    def __init__(self, box):
        self.box = box
        self.accounts = {row["id"]: row for row in box.rows("ledger.Account")}
        self.by_code = {row["code"]: row for row in self.accounts.values()}
        self.balances = defaultdict(int)
        self.postings = {}
        self.used = set()
        for row in box.rows("ledger.Posting"):
            self._read(row)

    def _read(self, row):
        where = f"ledger.Posting row {row['id']} ({row['key']})"
        source, destination = self.accounts.get(row["source_id"]), self.accounts.get(row["destination_id"])
        if row["key"] in self.postings:
            self.box.say(f"{where}: its key is there twice")
        if source is None or destination is None:
            return self.box.say(f"{where}: moves money from or to no account")
        if not isinstance(row["amount_minor"], int) or row["amount_minor"] <= 0:
            return self.box.say(f"{where}: moves {row['amount_minor']}, not a positive amount")
        if source is destination:
            self.box.say(f"{where}: leads back to where it came from")
        if source["book"] != destination["book"]:
            self.box.say(f"{where}: moves money between two books")
        if not source["currency"] == destination["currency"] == row["currency"]:
            self.box.say(f"{where}: its currency is not that of its accounts")
        self.balances[row["source_id"]] -= row["amount_minor"]
        self.balances[row["destination_id"]] += row["amount_minor"]
        self.postings[row["key"]] = (
            row["id"],
            row["kind"],
            row["amount_minor"],
            source["code"],
            destination["code"],
            row["cause"],
        )
        return None

    def balance(self, code):
        account = self.by_code.get(code)
        return self.balances[account["id"]] if account else 0

    def must_have(self, code):
        if code not in self.by_code:
            self.box.say(f"ledger.Account {code}: is missing")

    def expect(self, key, kind, amount, source, destination, cause=None):
        """The posting under `key` must be exactly this."""
        self.used.add(key)
        found = self.postings.get(key)
        if found is None:
            return self.box.say(f"ledger.Posting {key}: is missing ({kind} of {amount})")
        if cause is not None and found[5] != cause:
            self.box.say(f"ledger.Posting row {found[0]} ({key}): its cause is {found[5]}, expected {cause}")
        if found[1:5] != (kind, amount, source, destination):
            self.box.say(
                f"ledger.Posting row {found[0]} ({key}): is {found[1]} of {found[2]} from {found[3]} to {found[4]}, "
                f"expected {kind} of {amount} from {source} to {destination}"
            )
        return None

    def check(self):
        for account in self.accounts.values():
            balance = self.balances[account["id"]]
            where = f"ledger.Account row {account['id']} ({account['code']})"
            if account["tracked"] and account["balance_minor"] != balance:
                self.box.say(f"{where}: its balance is {account['balance_minor']}, its postings give {balance}")
            if account["tracked"] and balance < 0:
                self.box.say(f"{where}: is below zero ({balance})")
            if not account["tracked"] and account["balance_minor"]:
                self.box.say(f"{where}: keeps a balance of {account['balance_minor']}, expected none")
        return f"{len(self.postings):,} postings on {len(self.accounts):,} accounts"

    def check_unused(self, prefixes):
        """No posting of a payout or an earning that is not there."""
        for key, found in self.postings.items():
            if key.partition(":")[0] in prefixes and key not in self.used:
                self.box.say(f"ledger.Posting row {found[0]} ({key}): nothing asks for it")


def check_months(box):
    """Nothing was booked into a month while it was closed."""
    closes = defaultdict(list)
    for row in box.rows("ledger.PeriodClose"):
        closes[row["month"][:7]].append((row["closed_at"], row["reopened_at"] or "9999"))
    for table in ("ledger.Posting", "earnings.Earning"):
        for row in box.rows(table):
            day, at = row["booked_on"] or row["posted_at"], row["posted_at"]
            if any(start < at < end for start, end in closes.get(day[:7], ())):
                box.say(f"{table} row {row['id']}: was booked into {day[:7]} after it was closed")


# --- earnings and payouts ---------------------------------------------------------------------------------------------------
def whole(box, what, numbers):
    """Numbers that count 1, 2, 3 without a gap."""
    missing = set(range(1, len(numbers) + 1)) - set(numbers)
    for n in sorted(missing)[:5]:
        box.say(f"{what}: number {n} is missing, or another is there twice")


class Earned:
    def __init__(self, box):
        self.box = box
        self.parts = {row["id"]: row for row in box.rows("earnings.Participation")}
        self.currency = {row["id"]: row["currency"] for row in box.rows("programs.Program")}

    def own(self, part_id, bucket):
        part = self.parts.get(part_id)
        return f"participant:{part['public_id']}:{bucket}" if part else ""

    def check(self, ledger):
        sums, lines, count = defaultdict(int), defaultdict(list), 0
        for row in self.box.rows("earnings.Earning"):
            amount, count = row["amount_minor"], count + 1
            sums[row["participation_id"]] += amount
            lines[row["participation_id"], row["period_start"], row["line_key"]].append(row["n"])
            own, outside = self.own(row["participation_id"], "earned"), f"world:participant:accrual:{row['currency']}"
            ways = ("earn", amount, outside, own) if amount > 0 else ("unearn", -amount, own, outside)
            ledger.expect(f"earn:{row['public_id']}", *ways, f"earning:{row['public_id']}")
        for key, numbers in lines.items():
            whole(self.box, f"earnings.Earning of participation {key[0]}, {key[1]}, {key[2]}", numbers)
        for pk, part in self.parts.items():
            where = f"earnings.Participation row {pk}"
            for bucket in ("earned", "paid", "recoverable") if pk in sums else ():
                ledger.must_have(self.own(pk, bucket))
            if part["earned_minor"] != sums[pk]:
                self.box.say(f"{where}: has earned {part['earned_minor']}, its earnings give {sums[pk]}")
            if ledger.balance(self.own(pk, "earned")) != sums[pk]:
                self.box.say(
                    f"{where}: its account has earned {ledger.balance(self.own(pk, 'earned'))}, its earnings give {sums[pk]}"
                )
        return f"{count:,} earnings of {len(self.parts):,} participations"

    def check_recovery(self, ledger):
        """Recoveries and write-offs: numbered without a gap, and as their lists say."""
        numbers = defaultdict(list)
        for key in ledger.postings:
            if key.startswith("recover:"):
                _prefix, part, n = key.split(":")
                numbers[part].append(int(n))
        for part, found in numbers.items():
            whole(self.box, f"ledger.Posting recover:{part}", found)
        written, lines = defaultdict(int), defaultdict(list)
        for row in self.box.rows("payouts.WriteOffLine"):
            written[row["participation_id"]] += row["amount_minor"]
            lines[row["participation_id"]].append(row["n"])
        for pk, found in lines.items():
            whole(self.box, f"payouts.WriteOffLine of participation {pk}", found)
        by_kind = defaultdict(int)
        for key, (_pk, kind, amount, source, destination, _cause) in ledger.postings.items():
            if key.startswith("recover:") and "write_off" in source.split(":") + destination.split(":"):
                by_kind[key.split(":")[1]] += amount if kind == "written_off" else -amount
        without = set(numbers)
        for row in self.box.rows("payouts.Recovery"):
            where, pk = f"payouts.Recovery row {row['id']}", row["participation_id"]
            public_id = self.parts[pk]["public_id"] if pk in self.parts else ""
            without.discard(public_id)
            wanted = (ledger.balance(self.own(pk, "recoverable")), written[pk], by_kind[public_id])
            if (row["recoverable_minor"], row["written_off_minor"], row["written_off_minor"]) != wanted:
                self.box.say(
                    f"{where}: shows {row['recoverable_minor']} recoverable and {row['written_off_minor']} written off, the ledger {wanted[0]} and {wanted[2]}, the lines {wanted[1]}"
                )
        for public_id in sorted(without):
            self.box.say(f"payouts.Recovery of participation {public_id}: is missing")


class Payouts:
    """Each payout is its allocations, has exactly the postings its state asks for, and one card once it is delivered."""

    PREFIXES = frozenset("earn reserve commit unreserve resolve paid cash fee discount".split())

    def __init__(self, box, ledger, earned):
        self.box, self.ledger, self.earned = box, ledger, earned
        self.orders = {row["id"]: row for row in box.rows("rewards.RewardOrder")}
        self.budgets = {row["id"]: row for row in box.rows("ledger.Budget")}
        self.shared = defaultdict(int)
        for row in box.rows("payouts.Payout"):
            self.shared[row["order_id"]] += 1
        self.buckets = defaultdict(int)
        self.paid = defaultdict(int)

    def check(self):
        parts, numbers, count = self._allocations(), defaultdict(list), 0
        approvals, cards = self._count("payouts.Approval", "payout_id"), self._count("rewards.Card", "order_id")
        for row in self.box.rows("payouts.Payout"):
            count += 1
            where = f"payouts.Payout row {row['id']} ({row['public_id']})"
            numbers[row["participation_id"]].append(row["n"])
            if parts.pop(row["id"], 0) != row["amount_minor"]:
                self.box.say(f"{where}: its allocations do not add up to {row['amount_minor']}")
            self._postings(row)
            self._card(row, where, cards)
            if row["order_id"] is not None and approvals[row["id"]] < max(1, len(row["steps"])):
                self.box.say(f"{where}: was ordered with {approvals[row['id']]} of {len(row['steps'])} approvals")
        for pk in parts:
            self.box.say(f"payouts.PayoutEarning of payout {pk}: there is no such payout")
        for pk, found in numbers.items():
            whole(self.box, f"payouts.Payout of participation {pk}", found)
        self._sums()
        self._batches()
        return f"{count:,} payouts, {len(self.orders):,} orders"

    def _allocations(self):
        parts, seen = defaultdict(int), set()
        for row in self.box.rows("payouts.PayoutEarning"):
            parts[row["payout_id"]] += row["amount_minor"]
            if (row["payout_id"], row["earning_id"]) in seen:
                self.box.say(f"payouts.PayoutEarning row {row['id']}: its payout takes this earning twice")
            seen.add((row["payout_id"], row["earning_id"]))
        return parts

    def _count(self, table, field):
        found = defaultdict(int)
        for row in self.box.rows(table):
            found[row[field]] += row.get("decision", "approved") == "approved"
        return found

    def _postings(self, row):
        """By its state: which postings there must be; those that must not be are found as unused."""
        pid, status, ledger = row["public_id"], row["status"], self.ledger
        budget = self.budgets.get(row["budget_id"], {}).get("public_id", "")

        def move(name, kind, source, destination):
            ends = (f"budget:{budget}:{source}", f"budget:{budget}:{destination}")
            ledger.expect(f"{name}:{pid}", kind, row["amount_minor"], *ends, f"payout:{pid}")

        ended = status in ("rejected", "expired", "cancelled", "failed")
        committed = status in ("approved", "ordered", "fulfilled", "failed") or (
            status == "cancelled" and f"commit:{pid}" in ledger.postings
        )
        if row["reserved"]:
            move("reserve", "reserve", "available", "reserved")
            if committed:
                move("commit", "commit", "reserved", "committed")
            if ended:
                ends = ("committed", "available") if committed else ("reserved", "available")
                move(*(("resolve", "release") if committed else ("unreserve", "unreserve")), *ends)
            if status == "fulfilled":
                move("resolve", "settle", "committed", "spent")
        if status == "fulfilled":
            self._cash(row)
        if not ended and row["reserved"]:
            bucket = {"submitted": "reserved", "fulfilled": "spent"}.get(status, "committed")
            self.buckets[budget, bucket] += row["amount_minor"]

    def _cash(self, row):
        pid, amount, currency, cause = (
            row["public_id"],
            row["amount_minor"],
            row["currency"],
            f"payout:{row['public_id']}",
        )
        self.paid[row["participation_id"]] += amount
        own = self.earned.own(row["participation_id"], "paid")
        self.ledger.expect(f"paid:{pid}", "paid", amount, f"world:participant:paid:{currency}", own, cause)
        deposit = f"cash:deposit:{currency}"
        self.ledger.expect(f"cash:{pid}", "card", amount, deposit, f"cash:cards:{currency}", cause)
        order = self.orders.get(row["order_id"])
        if order is None:
            self.ledger.used |= {f"fee:{pid}", f"discount:{pid}"}
            return
        known = [cost for cost in (order["cost_minor"], order["expected_cost_minor"], amount) if cost is not None]
        self._cost(
            pid, cause, known[0] - amount, (deposit, f"cash:fees:{currency}"), (f"cash:discount:{currency}", deposit)
        )

    def _cost(self, pid, cause, over, fee_way, discount_way):
        """Fee less discount is what the card cost beyond its face value; the catalogue of the day says how it divides."""
        net, named = 0, []
        for kind, way, sign in (("fee", fee_way, 1), ("discount", discount_way, -1)):
            key = f"{kind}:{pid}"
            self.ledger.used.add(key)
            found = self.ledger.postings.get(key)
            if found is not None:
                self.ledger.expect(key, kind, found[2], *way, cause)
                net += sign * found[2]
                named.append(f"row {found[0]} ({key})")
        if net != over:
            where = " and ".join(named) or f"fee:{pid} or discount:{pid}: is missing"
            self.box.say(
                f"ledger.Posting {where}: fee less discount is {net}, the order cost {over} beyond its face value"
            )

    def _card(self, row, where, cards):
        order = self.orders.get(row["order_id"])
        delivered = row["status"] == "fulfilled"
        if delivered and (order is None or order["state"] != "completed"):
            self.box.say(f"{where}: is delivered, its order is not completed")
        if order is None:
            return
        if not delivered and order["state"] == "completed":
            self.box.say(f"{where}: is {row['status']}, its order is completed")
        if delivered and not order["provider_order_id"]:
            self.box.say(f"{where}: is delivered without an order at the provider")
        if delivered and order["delivery_type"] == "Links" and cards[order["id"]] != self.shared[order["id"]]:
            self.box.say(f"{where}: is delivered with {cards[order['id']]} cards, expected one")

    def _batches(self):
        """An order of several lines is its lines: each a payout's order, together its amount, and its cost to the cent."""
        lines = defaultdict(list)
        for row in self.orders.values():
            if row.get("batch_id") is not None:
                lines[row["batch_id"]].append(row)
        for pk, row in self.orders.items():
            if row.get("line_count") is None:
                if self.shared[pk] > 1:
                    self.box.say(f"rewards.RewardOrder row {pk}: {self.shared[pk]} payouts share it, expected one")
                continue
            where, found = f"rewards.RewardOrder row {pk} (a batch)", lines.pop(pk, [])
            if self.shared[pk]:
                self.box.say(f"{where}: belongs to a payout itself, only its lines may")
            if sorted(line["line"] for line in found) != list(range(1, row["line_count"] + 1)):
                self.box.say(f"{where}: has {len(found)} lines, expected 1 to {row['line_count']}, each once")
            self._batch(row, where, found)
        for pk in lines:
            self.box.say(f"rewards.RewardOrder row {pk}: is no batch, but orders say they are its lines")

    def _batch(self, row, where, lines):
        for name in ("amount_minor", "expected_cost_minor"):
            if sum(line[name] or 0 for line in lines) != (row[name] or 0):
                self.box.say(f"{where}: {name} is {row[name]}, its lines say {sum(line[name] or 0 for line in lines)}")
        through = [line for line in lines if line["state"] == "completed" and not line["attempt_count"]]
        costs = [line["cost_minor"] for line in through]
        if row["cost_minor"] is not None and None not in costs and sum(costs) != row["cost_minor"]:
            self.box.say(f"{where}: was charged {row['cost_minor']}, its lines say {sum(costs)}")
        if row["state"] == "completed" and not through:
            self.box.say(f"{where}: is completed, none of its lines is")
        if through and row["state"] in ("rejected", "failed", "cancelled", "draft"):
            self.box.say(f"{where}: is {row['state']}, but lines of it were issued")
        if row["state"] in ("completed", "rejected", "failed", "cancelled"):
            for line in lines:
                if line["state"] == "batched":
                    self.box.say(f"rewards.RewardOrder row {line['id']}: is a line of a batch that ended")

    def _sums(self):
        for budget in self.budgets.values():
            self.ledger.must_have(f"budget:{budget['public_id']}:available")
            for bucket in ("reserved", "committed", "spent"):
                code = f"budget:{budget['public_id']}:{bucket}"
                self.ledger.must_have(code)
                wanted = self.buckets[budget["public_id"], bucket]
                if self.ledger.balance(code) != wanted:
                    self.box.say(f"ledger.Account {code}: holds {self.ledger.balance(code)}, its payouts say {wanted}")
        for pk in self.earned.parts:
            code = self.earned.own(pk, "paid")
            if self.ledger.balance(code) != self.paid[pk]:
                self.box.say(
                    f"ledger.Account {code}: holds {self.ledger.balance(code)}, its payouts say {self.paid[pk]}"
                )


# --- the audit trail ------------------------------------------------------------------------------------------------------
CONTENT = "at action actor_id actor_name target_type target_id target_label before after reason request_id".split()


def check_audit(box):
    """Each row's digest is that of its content, and the sealed rows are one chain to where the manifest says."""
    sealed, count = [], 0
    for row in box.rows("core.AuditEvent"):
        count += 1
        where = f"core.AuditEvent row {row['id']} ({row['action']} {row['target_label']})"
        text = json.dumps([row[name] for name in CONTENT], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if hashlib.sha256(text.encode()).hexdigest() != row["digest"]:
            box.say(f"{where}: was edited")
        if row["seq"] is not None:
            sealed.append((row["seq"], row["id"], row["digest"], row["chain"]))
    chain, expected = GENESIS, 0
    for seq, pk, digest, link in sorted(sealed):
        expected += 1
        if seq != expected:
            box.say(f"core.AuditEvent number {expected}: is missing before row {pk} (number {seq}), or there twice")
            expected = seq
        if link != hashlib.sha256(f"{chain}{seq}{digest}".encode()).hexdigest():
            box.say(f"core.AuditEvent row {pk} (number {seq}): does not follow from the row before it")
        chain = link
    head = box.manifest["audit"]
    if (expected, chain if sealed else "") != (head["seq"], head["chain"]):
        box.say(f"core.AuditEvent: the chain ends with number {expected}, the manifest says {head['seq']}")
    return f"{count:,} audit events, {len(sealed):,} of them sealed"


# --- the seals ------------------------------------------------------------------------------------------------------------
SEALED = {"ledger.Posting": "key", "earnings.Earning": "public_id", "payouts.Approval": "actor_name"}
"""The tables whose rows are sealed, and the column that names a row to people."""


def digest_of(table, row):
    """Of a row's content; columns that are empty are left out."""
    content = {name: value for name, value in row.items() if value is not None}
    text = json.dumps([table, content], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def as_bytes(digest):
    """Half the memory of its digits; nothing for what is no digest."""
    try:
        return bytes.fromhex(digest)
    except (ValueError, TypeError):
        return b""


def check_seals(box):
    """The seals are one chain to where the manifest says, and every posting, earning and approval is as it was sealed."""
    seals = {table: {} for table in SEALED}
    before, end, expected, count = GENESIS, GENESIS, 0, 0
    for seal in box.rows("core.SealedRow"):
        number, table, pk = seal["id"], seal["table"], seal["row_id"]
        expected, count = expected + 1, count + 1
        end = hashlib.sha256(f"{before} {number} {table} {pk} {seal['digest']}".encode()).hexdigest()
        if number != expected:
            box.say(
                f"core.SealedRow number {expected}: is missing before row {number} ({table} row {pk}), or there twice"
            )
            expected, end = number, seal["chain"]
        elif seal["chain"] != end:
            box.say(f"core.SealedRow row {number} ({table} row {pk}): does not follow from the row before it")
        before = seal["chain"]
        if pk in seals.setdefault(table, {}):
            box.say(f"core.SealedRow row {number} ({table} row {pk}): its row is sealed twice")
        seals[table][pk] = as_bytes(seal["digest"])
    head = box.manifest.get("books", {"seq": 0, "chain": ""})
    if (expected, end if count else "") != (head["seq"], head["chain"]):
        box.say(f"core.SealedRow: the chain ends with number {expected}, the manifest says {head['seq']}")
    waiting = {(row["table"], row["row_id"]) for row in box.rows("core.UnsealedRow")}
    told = f"{count:,} seals of postings, earnings and approvals; {len(waiting):,} rows wait for theirs"
    for table, named in SEALED.items():
        for row in box.rows(table):
            where, digest = f"{table} row {row['id']} ({row[named]})", seals[table].pop(row["id"], None)
            if digest is None and (table, row["id"]) not in waiting:
                box.say(f"{where}: has no seal and waits for none: it was put in, or its seal was removed")
            elif digest is not None and digest != as_bytes(digest_of(table, row)):
                box.say(f"{where}: is not what was sealed: it was edited")
            waiting.discard((table, row["id"]))
    gone = [(table, pk) for table, left in seals.items() for pk in left]
    for table, pk in sorted([*gone, *waiting]):
        box.say(f"{table} row {pk}: is sealed or waits for its seal, and was removed")
    return told


# --- all together -----------------------------------------------------------------------------------------------------------
def verify(path, manifest_sha256="", books_only=False):
    """(what was checked in words, problems)."""
    box = Box(path)
    told = []
    if not books_only:
        if manifest_sha256 and hashlib.sha256(box.bytes("manifest.json")).hexdigest() != manifest_sha256.lower():
            box.say("manifest.json: is not the one of which this checksum was kept")
        check_files(box)
        told.append(f"{len(box.manifest['files']):,} files")
    check_references(box)
    ledger, earned = Ledger(box), Earned(box)
    payouts = Payouts(box, ledger, earned)
    told += [ledger.check(), earned.check(ledger), payouts.check()]
    earned.check_recovery(ledger)
    ledger.check_unused(Payouts.PREFIXES)
    check_months(box)
    told += [check_audit(box), check_seals(box)]
    return told, box.problems


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Check a full export of Laurel.")
    parser.add_argument("path", nargs="?", default=str(Path(__file__).resolve().parent))
    parser.add_argument("--manifest-sha256", default="", help="the manifest's checksum as Laurel showed it")
    parser.add_argument("--books-only", action="store_true", help="check what the rows say, not the files' checksums")
    given = parser.parse_args(arguments)
    try:
        told, problems = verify(given.path, given.manifest_sha256, given.books_only)
    except NoExport as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    lines = [f"checked: {line}" for line in told] + [f"PROBLEM: {line}" for line in problems[:MOST]]
    if len(problems) > MOST:
        lines.append(f"... and {len(problems) - MOST:,} more")
    lines.append(f"{len(problems):,} problems." if problems else "Everything holds.")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
