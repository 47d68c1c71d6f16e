"""A message as Slack and Teams take it, and what their answers mean.

Sources: Slack, Sending messages using incoming webhooks (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/),
Block Kit blocks (https://docs.slack.dev/reference/block-kit/blocks/), errors of incoming webhooks
(https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks), rate limits: one message a second, answered
with 429 and Retry-After (https://docs.slack.dev/apis/web-api/rate-limits/). Microsoft, Create incoming webhooks with Workflows
and Adaptive Cards for them (https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using):
a message with one attachment of type application/vnd.microsoft.card.adaptive, at most 28 KB.
"""

import json
from dataclasses import dataclass

from incentives.core import outgoing
from incentives.notifications.models import ChannelEndpoint
from incentives.notifications.rendering import Section, subject_of
from rewards import vault

HEADER, TEXT, LABEL = 150, 1500, 75
"""Characters of a header and a button's label are Slack's limits; of a text it takes 3,000, and Teams 28 KB of everything."""
SECTIONS = 5
GONE = (404, 410)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer means: `sent`, `gone` (the channel does not exist any more), `refused` (never again) or `later`, after
    `wait` seconds where the other side named them."""

    result: str
    words: str
    wait: int | None = None


def payload(channel: str, found: list[Section]) -> bytes:
    make = _slack if channel == ChannelEndpoint.Channel.SLACK else _teams
    return json.dumps(make(found[:SECTIONS])).encode()


def cut(text: str, longest: int) -> str:
    text = text.strip()
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _slack(found: list[Section]) -> dict:
    """`text` is what a notification on the phone shows; the blocks are what the channel shows."""
    blocks = []
    for section in found:
        header = {"type": "plain_text", "text": cut(section.content.subject, HEADER), "emoji": False}
        blocks.append({"type": "header", "text": header})
        if section.content.summary:
            words = _escaped(cut(section.content.summary, TEXT))
            blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": words, "verbatim": True}})
        if section.url:
            label = {"type": "plain_text", "text": cut(section.link_label, LABEL), "emoji": False}
            blocks.append({"type": "actions", "elements": [{"type": "button", "text": label, "url": section.url}]})
    return {"text": _escaped(cut(subject_of(found), HEADER)), "blocks": blocks, "unfurl_links": False}


def _escaped(text: str) -> str:
    """Slack's three characters of control; with `verbatim` nothing else becomes a mention or a link. Marks of bold and the
    like in a program's name stay what they are to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _teams(found: list[Section]) -> dict:
    body, actions = [], []
    for section in found:
        body.append(_block(cut(section.content.subject, HEADER), weight="Bolder", size="Medium"))
        if section.content.summary:
            body.append(_block(cut(section.content.summary, TEXT)))
        if section.url:
            actions.append({"type": "Action.OpenUrl", "title": cut(section.link_label, LABEL), "url": section.url})
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "body": body, "actions": actions,
    }  # fmt: skip
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _block(text: str, **more) -> dict:
    """Teams reads a part of Markdown in texts: a link in a name would become one, so its brackets are escaped."""
    for sign in "\\[]*_`":
        text = text.replace(sign, f"\\{sign}")
    return {"type": "TextBlock", "text": text, "wrap": True, **more}


def post(endpoint: ChannelEndpoint, body: bytes) -> Outcome:
    """One attempt, outside any transaction."""
    try:
        url = vault.unseal(endpoint.label, endpoint.sealed)["url"]
        answer = outgoing.post(url, content=body, headers={"Content-Type": "application/json"})
    except outgoing.Refused as exc:
        return Outcome("refused", str(exc))
    except outgoing.Unreachable as exc:
        return Outcome("later", str(exc))
    return meaning(answer)


def meaning(answer: outgoing.Answer) -> Outcome:
    """200 (Slack) and 202 (Workflows) are success. Slack's own words come with its errors; others' are not kept."""
    words = f"HTTP {answer.status}{_word(answer.body)}"
    if 200 <= answer.status < 300:
        return Outcome("sent", words)
    if answer.status in GONE:
        return Outcome("gone", words)
    if answer.status in (408, 425, 429) or answer.status >= 500:
        return Outcome("later", words, answer.retry_after)
    return Outcome("refused", words)


def _word(body: bytes) -> str:
    """A single word such as `channel_is_archived`; anything else may hold what nobody should read."""
    word = body.decode("ascii", "ignore").strip()
    return f" {word}" if len(word) <= 60 and word.replace("_", "").isalpha() and word.islower() else ""
