"""The sandbox's books in one SQLite file of its own: they survive SIGKILL of the sandbox."""

import json
import sqlite3
import threading
from collections.abc import Callable
from decimal import Decimal

SCHEMA = """
CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (value TEXT PRIMARY KEY, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, po TEXT NOT NULL UNIQUE COLLATE NOCASE,
  body TEXT NOT NULL, type TEXT NOT NULL, lines TEXT NOT NULL, currency TEXT NOT NULL, face_minor INTEGER NOT NULL,
  cost_minor INTEGER NOT NULL, status TEXT NOT NULL, becomes TEXT NOT NULL, finish_at REAL, visible_at REAL NOT NULL,
  hook TEXT NOT NULL, hook_due REAL, hook_tries INTEGER NOT NULL DEFAULT 0, hook_times INTEGER NOT NULL DEFAULT 1,
  created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_hook ON orders (hook_due) WHERE hook_due IS NOT NULL;
CREATE INDEX IF NOT EXISTS orders_finish ON orders (finish_at) WHERE finish_at IS NOT NULL;
"""


class Store:
    """Every method is one transaction under one lock: SQLite has one writer anyway."""

    def __init__(self, path: str, clock: Callable[[], float], balance_minor: int):
        self._lock, self.clock = threading.RLock(), clock
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._db.execute("INSERT OR IGNORE INTO kv VALUES ('balance_minor', ?)", (str(balance_minor),))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _rows(self, sql: str, *values) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, *values) -> sqlite3.Row | None:
        return next(iter(self._rows(sql, *values)), None)

    # --- tokens -------------------------------------------------------------------------------------------------------
    def add_token(self, value: str, expires_at: float) -> None:
        self._rows("INSERT INTO tokens VALUES (?, ?)", value, expires_at)
        self.count("tokens_minted")

    def token_valid(self, value: str) -> bool:
        return self._one("SELECT 1 FROM tokens WHERE value = ? AND expires_at > ?", value, self.clock()) is not None

    def drop_token(self, value: str) -> None:
        self._rows("DELETE FROM tokens WHERE value = ?", value)

    def drop_tokens(self) -> None:
        self._rows("DELETE FROM tokens")

    # --- balance ------------------------------------------------------------------------------------------------------
    @property
    def balance_minor(self) -> int:
        return int(self._one("SELECT value FROM kv WHERE key = 'balance_minor'")["value"])

    def fund(self, minor: int) -> int:
        with self._lock:
            self._rows("UPDATE kv SET value = CAST(value AS INTEGER) + ? WHERE key = 'balance_minor'", minor)
            return self.balance_minor

    def count(self, name: str, by: int = 1) -> None:
        self._rows(
            "INSERT INTO kv VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = CAST(value AS INTEGER) + ?",
            f"count:{name}", str(by), by,
        )  # fmt: skip

    def counts(self) -> dict[str, int]:
        rows = self._rows("SELECT key, value FROM kv WHERE key LIKE 'count:%'")
        return {row["key"].removeprefix("count:"): int(row["value"]) for row in rows}

    # --- orders -------------------------------------------------------------------------------------------------------
    def insert(self, order: dict) -> sqlite3.Row | str:
        """The new order, or why not: `conflict` or `funds`. Number, balance and order move together."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                outcome = self._insert(order)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        return outcome if isinstance(outcome, str) else self.by_id(order["id"])

    def _insert(self, order: dict) -> str | None:
        if self.by_po(order["po"]):
            return "conflict"
        if self.balance_minor < order["cost_minor"]:
            return "funds"
        names = ", ".join(order)
        marks = ", ".join("?" * len(order))
        self._db.execute(f"INSERT INTO orders ({names}) VALUES ({marks})", tuple(order.values()))  # noqa: S608 (our own names)
        self.fund(-order["cost_minor"])
        return None

    def by_id(self, order_id: str) -> sqlite3.Row | None:
        return self._one("SELECT * FROM orders WHERE id = ? COLLATE NOCASE", order_id)

    def by_po(self, po: str) -> sqlite3.Row | None:
        return self._one("SELECT * FROM orders WHERE po = ?", po)

    def another(self, po: str) -> sqlite3.Row | None:
        return self._one("SELECT * FROM orders WHERE po <> ? ORDER BY seq LIMIT 1", po)

    def page(self, index: int, size: int) -> tuple[list[sqlite3.Row], int]:
        rows = self._rows("SELECT * FROM orders ORDER BY seq DESC LIMIT ? OFFSET ?", size, (index - 1) * size)
        return rows, self._one("SELECT COUNT(*) AS n FROM orders")["n"]

    def ripen(self) -> None:
        """Pending orders whose time has come get their final status, and their webhook falls due."""
        now = self.clock()
        self._rows(
            "UPDATE orders SET status = becomes, finish_at = NULL, hook_due = CASE WHEN hook <> '' AND hook_times > 0 "
            "THEN ? END WHERE finish_at IS NOT NULL AND finish_at <= ?", now, now,
        )  # fmt: skip

    def hooks_due(self) -> list[sqlite3.Row]:
        return self._rows("SELECT * FROM orders WHERE hook_due IS NOT NULL AND hook_due <= ? LIMIT 50", self.clock())

    def hook_done(self, seq: int, delivered: bool, tries: int) -> None:
        again = None if delivered or tries >= 5 else self.clock() + 2**tries
        self._rows("UPDATE orders SET hook_due = ?, hook_tries = ? WHERE seq = ?", again, tries, seq)

    # --- books --------------------------------------------------------------------------------------------------------
    def books(self) -> dict:
        """What was sold: orders, cards, face value and cost by status, and what is left on the deposit account."""
        rows = self._rows(
            "SELECT status, COUNT(*) AS n, SUM(face_minor) AS face, SUM(cost_minor) AS cost FROM orders GROUP BY status"
        )
        quantity = sum(
            line["Quantity"]
            for row in self._rows("SELECT lines FROM orders")
            for line in json.loads(row[0])
            if not line.get("Failed")
        )
        return {
            "orders": sum(row["n"] for row in rows),
            "cards": quantity,
            "face_value": money(sum(row["face"] for row in rows)),
            "cost": money(sum(row["cost"] for row in rows)),
            "available": money(self.balance_minor),
            "by_status": {row["status"]: {"orders": row["n"], "face_value": money(row["face"])} for row in rows},
            "counts": self.counts(),
        }

    def everything(self) -> list[dict]:
        rows = self._rows("SELECT * FROM orders ORDER BY seq")
        return [
            {"id": row["id"], "po": row["po"], "status": row["status"], "type": row["type"], "currency": row["currency"],
             "face_value": money(row["face_minor"]), "cost": money(row["cost_minor"]), "body": row["body"]}
            for row in rows
        ]  # fmt: skip


def money(minor: int) -> str:
    """Minor units of a currency with two digits (all of the sandbox's) as text."""
    return str(Decimal(minor).scaleb(-2).quantize(Decimal("0.01")))
