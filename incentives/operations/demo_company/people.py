"""Who works at Brightwater and at its partners, and who may sign in. Data alone."""

from dataclasses import dataclass

PASSWORD = "orchard-lantern-26"  # noqa: S105 (of an example)
"""Of everybody in the demo, which only listens on this machine."""

HOME = "US"


@dataclass(frozen=True)
class SignIn:
    """Somebody who may sign in: `label` is what the sign-in page says, `role` what permissions.py knows."""

    label: str
    name: str
    role: str

    @property
    def email(self) -> str:
        return email_of(self.name)


def email_of(name: str) -> str:
    plain = name.lower().translate(str.maketrans("áãçéèíñóöøúü", "aaceeinooouu"))
    return plain.replace("'", "").replace(" ", ".") + "@example.com"


MANAGER = SignIn("Program manager", "Maya Lindqvist", "manager")
SECOND_MANAGER = SignIn("Second program manager", "Daniel Okafor", "manager")
FINANCE = SignIn("Finance", "Grace Whitfield", "finance")
SECOND_FINANCE = SignIn("Second of finance", "Tomás Herrera", "finance")
REP = SignIn("Sales rep", "Sofia Marchetti", "participant")
PARTNER_ADMIN = SignIn("Partner administrator", "Jonas Weber", "partner_admin")
PARTNER_PERSON = SignIn("Partner's seller", "Amara Diallo", "participant")
ADMINISTRATOR = SignIn("Administrator", "Robin Castellanos", "administrator")
AUDITOR = SignIn("Auditor", "Helen Brandt", "auditor")
SIGN_INS = (
    REP, MANAGER, SECOND_MANAGER, FINANCE, SECOND_FINANCE, PARTNER_ADMIN, PARTNER_PERSON, ADMINISTRATOR, AUDITOR,
)  # fmt: skip
OTHER_PARTNER_ADMINS = (
    SignIn("Partner administrator", "Clara Hoffmann", "partner_admin"),
    SignIn("Partner administrator", "Émile Tremblay", "partner_admin"),
)
"""They file their partners' claims. The sign-in page does not offer them."""


@dataclass(frozen=True)
class Person:
    """A participant. `manager` is a name; `job` is `vp`, `lead`, `rep`, `engineer` or `seller`."""

    number: int
    name: str
    job: str
    type: str = "employee"
    team: str = ""
    partner: str = ""
    manager: str = ""
    time_zone: str = "America/New_York"
    country: str = HOME

    @property
    def key(self) -> str:
        return f"U-{self.number}"


VP = "Ruth Adeyemi"
TEAMS = {  # code: (name, region, time zone, lead, reps, contractors, sales engineers)
    "enterprise-east": ("Enterprise East", "East", "America/New_York", "Marcus Chen",
        ["Sofia Marchetti", "Liam O'Connor", "Aisha Rahman", "Diego Fuentes", "Hannah Kowalski", "Kwame Mensah"],
        [], ["Yuki Tanaka"]),
    "enterprise-west": ("Enterprise West", "West", "America/Los_Angeles", "Elena Petrova",
        ["Noah Bergström", "Priya Nair", "Carlos Mendoza", "Grace Kim", "Omar Haddad", "Chloe Dubois"],
        [], ["Ravi Shankar"]),
    "mid-market": ("Mid-market", "Central", "America/Chicago", "Patricia Gómez",
        ["Ethan Walker", "Fatima Zahra", "Mateo Silva", "Olivia Nguyen", "Samuel Abebe", "Ingrid Larsen"],
        ["Victor Popescu", "Leila Farouk"], ["Ben Ferreira"]),
    "inside-sales": ("Inside sales", "Remote", "America/Denver", "Andre Jackson",
        ["Mia Rossi", "Jamal Wright", "Sara Lindholm", "Hugo Moreau", "Nadia Ivanova", "Tyler Brooks"],
        ["Camila Rojas", "Wei Zhang", "Kofi Boateng", "Emma Schneider"], ["Zoe Papadakis"]),
}  # fmt: skip
PARTNERS = {  # code: (name, tier, region, country, time zone, people)
    "harborline": ("Harborline Networks", "gold", "East", "US", "America/New_York",
        ["Jonas Weber", "Amara Diallo", "Lucas Pereira", "Anika Sharma", "Peter Novak", "Rosa Delgado", "Tariq Aziz"]),
    "summit-it": ("Summit IT Partners", "silver", "Mountain", "US", "America/Denver",
        ["Clara Hoffmann", "David Osei", "Mina Park", "Stefan Ilic", "Layla Hassan", "Marco Bianchi", "Joy Wanjiru"]),
    "northgate": ("Northgate Resellers", "bronze", "Ontario", "CA", "America/Toronto",
        ["Émile Tremblay", "Nora Fitzgerald", "Arjun Patel", "Isabel Costa", "Felix Braun", "Thandi Nkosi", "Owen Baker"]),
}  # fmt: skip


def everybody() -> list[Person]:
    """All participants, managers before the people they manage."""
    rows = [(VP, "vp", {})]
    for code, (_, _, zone, lead, reps, contractors, engineers) in TEAMS.items():
        placed = {"team": code, "time_zone": zone}
        rows.append((lead, "lead", {**placed, "manager": VP}))
        rows += [(name, "rep", {**placed, "manager": lead}) for name in reps]
        rows += [(name, "rep", {**placed, "manager": lead, "type": "contractor"}) for name in contractors]
        rows += [(name, "engineer", {**placed, "manager": lead}) for name in engineers]
    for code, (_, _, _, country, zone, names) in PARTNERS.items():
        placed = {"partner": code, "time_zone": zone, "country": country, "type": "partner"}
        rows += [(name, "seller", {**placed, "manager": names[0] if name != names[0] else ""}) for name in names]
    return [Person(1001 + n, name, job, **more) for n, (name, job, more) in enumerate(rows)]


def sign_ins() -> list[tuple[str, str, str]]:
    """(role, e-mail, password), one per role."""
    return [(one.label, one.email, PASSWORD) for one in SIGN_INS]
