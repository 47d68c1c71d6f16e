"""Log lines that carry ids and never secrets."""

import contextvars
import logging
import re

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="-")

_SECRETS = [
    (re.compile(r"(/hooks/(?:rewards/)?)[^/\s\"']+"), r"\1[token]"),
    (re.compile(r"(/unsubscribe/)[^/\s\"']+"), r"\1[token]"),
    (re.compile(r"(?i)(https://hooks\.slack\.com/)[^\s\"']+"), r"\1[secret]"),
    (re.compile(r"(?i)([?&]sig=)[^\s&\"']+"), r"\1[secret]"),  # the secret in the address of a Teams workflow
    (re.compile(r"(/boards/)[^/\s\"']+"), r"\1[token]"),
    (re.compile(r"\blrl_[A-Za-z0-9_-]{6,}"), "[secret]"),  # an API token, wherever it turns up
    (re.compile(r"(?i)(bearer\s+|basic\s+|whsec_|accesstoken\W+)[A-Za-z0-9._~+/=-]{6,}"), r"\1[secret]"),
    (re.compile(r"(?i)(claim_?link\w*\W+)\S+"), r"\1[secret]"),
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"), "[email]"),
    (re.compile(r"(?i)(://[^:/\s]+:)[^@/\s]+@"), r"\1[secret]@"),
]


def redact(text: str) -> str:
    """Replace tokens, keys, e-mail addresses and claim links; line breaks become visible so no line can be forged."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text.replace("\r", "\\r").replace("\n", "\\n")


class RedactingFilter(logging.Filter):
    """Redacts the finished message of every record, whoever wrote it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


class LineFormatter(logging.Formatter):
    """`time level logger [request or task id] message`, with a redacted traceback below where there is one."""

    def __init__(self):
        super().__init__("%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = request_id.get()
        return super().format(record)

    def formatException(self, ei) -> str:  # noqa: N802 (logging's name)
        return "\n".join(redact(line) for line in super().formatException(ei).splitlines())
