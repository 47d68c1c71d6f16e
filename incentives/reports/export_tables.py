"""What the full export holds and what it leaves out, each with its reason. A test fails when a model is in neither list."""

TABLES = """
accounts.User accounts.UserRole account.EmailAddress
participants.Team participants.Partner participants.Participant
ledger.Budget ledger.Account ledger.Posting ledger.ExchangeRate ledger.PeriodClose ledger.BudgetTransfer ledger.FundingLimit
ledger.BudgetAlert ledger.DepositEntry ledger.DepositCheck ledger.DepositLimit
programs.Program programs.ProgramVersion programs.ProgramVersion_writers programs.ReviewLimit programs.Target
programs.TargetChange programs.ProgramStop programs.Enrollment programs.Terms programs.TermsAcceptance
crm.Connection crm.Delivery crm.ObjectState crm.Activity crm.IdentityLink crm.ImportJob
claims.Claim claims.ClaimLine claims.ClaimSerial claims.ClaimProof claims.ClaimFlag
awards.AwardBatch awards.Award
earnings.Participation earnings.Credit earnings.Scorecard earnings.Earning earnings.SealedStanding earnings.ContestSeal
earnings.LeaderboardSnapshot
simulations.Simulation simulations.Candidate
tax.TaxProfile tax.TaxProfileChange tax.TaxRule tax.OutsideAward tax.TaxExport
rewards.Product rewards.Branding rewards.ShippingMethod rewards.Channel rewards.ChannelEvent rewards.RewardOrder
rewards.OrderAttempt rewards.OrderEvent rewards.Card rewards.CardReveal
payouts.Payout payouts.Payout_policy_editors payouts.PayoutEarning payouts.ApprovalPolicy payouts.Approval payouts.Hold
payouts.OrderDecision payouts.Delegation payouts.ProductChoice payouts.ProductChoice_staff payouts.RewardPreference
payouts.Recovery payouts.WriteOff payouts.WriteOffLine payouts.RiskRule payouts.ScheduledBuild
disputes.Dispute disputes.DisputeMessage
reports.JournalAccount reports.JournalExport reports.RewardReminder
reports.ProviderComparison reports.ProviderDifference reports.ComparisonDifference reports.DifferenceNote
notifications.Recipient notifications.Preference notifications.ChannelEndpoint notifications.Delivery notifications.Notification
portal.WallScreen portal.WallScreenProgram
api.ApiToken
core.AuditEvent core.SealedRow core.UnsealedRow
""".split()
"""Labels, each a file `data/<label>.jsonl`, in an order in which a row mostly follows what it refers to."""

LEFT_OUT = {
    "admin.LogEntry": "written by Django's admin beside our own trail, which has every change",
    "auth.Group": "not used: roles are accounts.UserRole",
    "auth.Group_permissions": "not used: roles are accounts.UserRole",
    "auth.Permission": "not used: roles are accounts.UserRole",
    "accounts.User_groups": "not used: roles are accounts.UserRole",
    "accounts.User_user_permissions": "not used: roles are accounts.UserRole",
    "contenttypes.ContentType": "Django's own list of tables",
    "sessions.Session": "a session opens the application: a secret",
    "account.EmailConfirmation": "its keys confirm an address: secrets",
    "crm.ConnectionSecret": "secrets of connections",
    "rewards.ProviderToken": "the provider's token: a secret",
    "rewards.CallSlot": "which worker calls at this moment",
    "rewards.LookNow": "a mark for the next poll",
    "core.Heartbeat": "which process was alive when",
    "core.ChainHead": "where the two chains ended: in manifest.json",
    "ledger.FormerRate": "a mark for the next computation; the trail has the change",
    "programs.EnrollmentChange": "a mark for the next computation; the trail has the change",
    "payouts.ContactKey": "computed from participants' addresses",
    "simulations.SimulatedPerson": "computed from a simulation's definition and the facts, again at any time",
    "simulations.Overlap": "computed from a simulation's definition and the facts, again at any time",
    "notifications.Announcement": "a mark that something was announced; notifications.Notification has to whom",
    "api.IdempotencyKey": "answers kept for seven days, so that a repeated request gets the same one",
    "reports.FullExport": "about these files themselves; the trail has who made and fetched them",
}
"""Label -> why it is not in the file."""

FIELDS_LEFT_OUT = {
    "accounts.User.password": "the hash of a password",
    "crm.Connection.token_hash": "the hash of the address events are sent to",
    "crm.Delivery.headers": "may hold signatures of the sender",
    "rewards.RewardOrder.body": "holds the secret address the provider calls back",
    "rewards.RewardOrder.hook_hash": "the hash of that address",
    "portal.WallScreen.token_hash": "the hash of a screen's secret address",
    "notifications.ChannelEndpoint.sealed": "the secret address of a chat channel",
    "api.ApiToken.digest": "the hash of a token",
    "rewards.Card.sealed": "the claim link, which is money",
}
"""Label and field -> why it is not in the file."""
