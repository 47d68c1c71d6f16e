"""Django finds models in this module alone; each topic's stand in a file of their own."""

from incentives.reports.ageing_models import RewardReminder  # noqa: F401
from incentives.reports.comparison_models import (  # noqa: F401
    ComparisonDifference,
    DifferenceNote,
    ProviderComparison,
    ProviderDifference,
)
from incentives.reports.export_models import FullExport  # noqa: F401
from incentives.reports.journal_models import JournalAccount, JournalExport  # noqa: F401
