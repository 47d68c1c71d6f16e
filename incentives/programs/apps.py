from django.apps import AppConfig


class ProgramsConfig(AppConfig):
    name = "incentives.programs"

    def ready(self):
        from incentives.notifications import scopes
        from incentives.programs.selectors import names

        scopes.connect(names)
