from django.apps import AppConfig


class ParticipantsConfig(AppConfig):
    name = "incentives.participants"

    def ready(self):
        from incentives.participants import told

        told.connect()
