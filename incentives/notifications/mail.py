"""A message as an e-mail: text and HTML, with the headers that let a mail program unsubscribe."""

import smtplib
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from incentives.notifications import unsubscribe
from incentives.notifications.models import Delivery
from incentives.notifications.recipients import Person
from incentives.notifications.rendering import Section, absolute, subject_of


def message_for(delivery: Delivery, person: Person, found: list[Section]) -> EmailMultiAlternatives:
    """The e-mail of these sections. Call it in the reader's language.

    Its Message-ID is the delivery's: where a crash made it leave twice, mail programs see one message.
    """
    optional = [section.kind.name for section in found if not section.kind.duty]
    leave = absolute(unsubscribe.path_for(delivery.recipient, optional)) if optional else ""
    subject = subject_of(found)
    context = {
        "person": person,
        "subject": subject,
        "sections": found,
        "several": len(found) > 1,
        "unsubscribe": leave,
        "preferences": absolute(reverse("notifications:mine")) if person.user else "",
    }
    host = urlsplit(settings.BASE_URL).hostname
    headers = {"Message-ID": f"<{delivery.public_id}@{host}>", "Auto-Submitted": "auto-generated"}
    message = EmailMultiAlternatives(
        subject, render_to_string("emails/message.txt", context), None, [person.email],
        headers=headers | (_list_headers(leave) if len(optional) == len(found) else {}),
    )  # fmt: skip
    message.attach_alternative(render_to_string("emails/message.html", context), "text/html")
    return message


def _list_headers(leave: str) -> dict[str, str]:
    """RFC 2369 and RFC 8058: one click of the mail program's own button. Only https may be named as one-click, and only
    mails of which everything may be left."""
    headers = {"List-Unsubscribe": f"<{leave}>"}
    if leave.startswith("https://"):
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def is_final(exc: Exception) -> bool:
    """Whether the mail server refused this recipient or this message for good (RFC 5321 4.2.1: 5yz). A refused sender or
    sign-in is a matter of our own settings: that is mended, and tried again."""
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        return all(500 <= code < 600 for code, _text in exc.recipients.values())
    return isinstance(exc, smtplib.SMTPDataError) and 500 <= exc.smtp_code < 600


def in_words(exc: Exception) -> str:
    """The kind of error and its code: what a server says may repeat the address."""
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        codes = sorted({code for code, _text in exc.recipients.values()})
        return f"{type(exc).__name__} {', '.join(map(str, codes))}"
    code = getattr(exc, "smtp_code", None)
    return f"{type(exc).__name__} {code}" if code else type(exc).__name__
