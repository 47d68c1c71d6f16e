"""What reports keep of their own. Each topic's models stand in a file of their own."""

from incentives.reports.ageing_models import RewardReminder  # noqa: F401
