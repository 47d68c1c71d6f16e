"""Claims of partners' people: proof, review, and the activity an approved claim becomes."""

from django.apps import AppConfig


class ClaimsConfig(AppConfig):
    name = "incentives.claims"

    def ready(self):
        from incentives.accounts import context_processors
        from incentives.claims import selectors

        context_processors.rule(
            "claims:list", lambda user: selectors.waiting_for(user) if user.can("claims.review") else 0
        )
        context_processors.rule("claims:mine", selectors.takes_part)
