"""Addresses compared as people use them: one mailbox has many spellings (pure)."""

GMAIL = frozenset({"gmail.com", "googlemail.com"})


def email_key(email: str) -> str:
    """One key for every spelling that reaches one mailbox: casing, `+tag`, and at Gmail dots and its other domain."""
    local, at, domain = email.strip().lower().rpartition("@")
    if not at:
        return ""
    domain = domain.rstrip(".")
    local = local.partition("+")[0]
    if domain in GMAIL:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def phone_key(phone: str) -> str:
    return "".join(c for c in phone if c.isdigit())


def domain_of(email: str) -> str:
    return email.strip().lower().rpartition("@")[2].rstrip(".")


def allows(domain: str, allowed: set[str]) -> bool:
    """Whether `domain` is one of `allowed` or below one of them."""
    return any(domain == known or domain.endswith(f".{known}") for known in allowed)


def looks_like(domain: str, allowed: set[str]) -> str:
    """The allowed domain this one could be taken for: one character away, or written in another script. Else empty."""
    if domain.startswith("xn--") or ".xn--" in domain:
        return min(allowed, default="")
    return next((known for known in sorted(allowed) if _one_apart(domain, known)), "")


def _one_apart(a: str, b: str) -> bool:
    if a == b or abs(len(a) - len(b)) > 1:
        return False
    first = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    swapped = a[first : first + 2] == b[first : first + 2][::-1] and a[first + 2 :] == b[first + 2 :]
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    if len(a) == len(b):
        return a[first + 1 :] == b[first + 1 :] or swapped
    return longer[first + 1 :] == shorter[first:]
