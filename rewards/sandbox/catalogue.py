"""A believable catalogue. Amounts are texts in major units; faces are drawn by `picture`."""

import html
from decimal import Decimal

_DIGITAL = ["DigitalDelivery"]
_BOTH = ["DigitalDelivery", "Links"]


def _product(number, name, kind, values, delivery, fee, discount, colour, *, currency="USD", what="Digital", about=""):
    return {
        "Id": number,
        "Name": name,
        "ShortDescription": f"<p>{about}</p>",
        "LongDescription": f"<p>{about}</p><p>Delivered within minutes. <b>Never expires.</b></p>",
        "Terms": "<p>Not redeemable for cash except where required by law.</p><ul><li>Treat it like cash.</li></ul>",
        "Disclaimer": "The merchant is not a sponsor of this program.",
        "RedemptionNote": "<p>Open the link and follow the steps, or show the code at the till.</p>",
        "Type": what,
        "DenominationType": kind,
        "Denominations": [Decimal(value) for value in values],
        "AvailableDeliveryTypes": delivery,
        "CurrencyCode": currency,
        "CultureCodes": ["en-US"],
        "Cost": {"Fee": Decimal(fee), "DiscountPercentage": Decimal(discount)},
        "Meta": {"ShippingConfiguration": {}, "Colors": {"Primary": colour}},
        "Translations": [],
    }


PRODUCTS = [
    _product("CVS", "CVS Pharmacy", "Variable", ["5", "500"], _BOTH, "0.00", "3.50", "#a1232b", about="Health, beauty and everyday needs."),
    _product("BLUEBIRD", "Bluebird Coffee", "Fixed", ["5", "10", "25", "50"], _BOTH, "0.25", "4.55", "#1f4e79", about="Coffee, tea and something sweet."),
    _product("HARBOR", "Harbor Grocery", "Variable", ["5", "250"], _BOTH, "0.00", "2.00", "#2f6b3c", about="Fresh food at 400 neighbourhood stores."),
    _product("NORTHPEAK", "Northpeak Outfitters", "Fixed", ["25", "50", "100", "250"], _BOTH, "0.50", "8.00", "#3d5a45", about="Boots, tents and warm things."),
    _product("LUMEN", "Lumen Electronics", "Variable", ["10", "1000"], _DIGITAL, "0.00", "1.25", "#3b2f6b", about="Screens, sound and smart homes."),
    _product("PAGETURN", "Pageturn Books", "Variable", ["10", "200"], _BOTH, "0.25", "6.00", "#7a4a1d", about="Books, printed and spoken."),
    _product("MARQUEE", "Marquee Cinemas", "Fixed", ["15", "30", "60"], _BOTH, "0.00", "10.00", "#7a1d4a", about="Tickets and popcorn."),
    _product("TABLETOP", "Tabletop Restaurants", "Fixed", ["25", "50", "100"], _DIGITAL, "0.25", "9.00", "#8a3b12", about="Nine restaurants, one card."),
    _product("RIDELINE", "Rideline", "Variable", ["15", "200"], _BOTH, "0.00", "2.50", "#222222", about="A ride when you need one."),
    _product("STAYWELL", "Staywell Hotels", "Variable", ["50", "2000"], _DIGITAL, "1.00", "5.00", "#0f5e66", about="1,200 hotels in 30 states."),
    _product("ANYCARD", "AnyCard Choice", "Variable", ["5", "1000"], ["Links"], "0.50", "0.00", "#44515c", about="The recipient chooses among 80 brands at the link."),
    _product("EUROSHOP", "Europa Shops", "Fixed", ["10", "25", "50"], _BOTH, "0.25", "3.00", "#21468b", currency="EUR", about="High-street shops in the euro area."),
    _product("PLASTIC", "Everyday Prepaid Card", "Fixed", ["25", "50", "100"], ["PhysicalShipment"], "3.95", "0.00", "#5a6b2f", what="Physical", about="A plastic card by post."),
]  # fmt: skip
for _entry in PRODUCTS:
    if _entry["Type"] == "Physical":
        _entry["Meta"]["ShippingConfiguration"] = {"FulfillmentGroup": "US-1", "HasRequiredCardCarriers": True}
BY_ID = {entry["Id"]: entry for entry in PRODUCTS}
BRANDINGS = [{"Id": "BR-77", "Name": "Sales Club"}, {"Id": "BR-78", "Name": "Partner Thanks"}]
SHIPPING = [
    {"Id": "STANDARD", "Name": "Standard post", "Cost": Decimal("1.50")},
    {"Id": "EXPRESS", "Name": "Express", "Cost": Decimal("14.00")},
]


def picture(product_id: str) -> str | None:
    """The card's face as SVG."""
    entry = BY_ID.get(product_id)
    if entry is None:
        return None
    colour, name = entry["Meta"]["Colors"]["Primary"], html.escape(entry["Name"])
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 200" role="img" width="320" height="200">'
        f'<title>{name}</title><rect width="320" height="200" rx="16" fill="{colour}"/>'
        '<circle cx="270" cy="50" r="90" fill="#ffffff" opacity="0.12"/>'
        '<circle cx="40" cy="190" r="70" fill="#000000" opacity="0.12"/>'
        f'<text x="24" y="112" font-family="Georgia, serif" font-size="26" fill="#ffffff">{name}</text>'
        '<text x="24" y="172" font-family="sans-serif" font-size="13" fill="#ffffff" opacity="0.85">Gift card</text></svg>'
    )
