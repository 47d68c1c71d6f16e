"""allauth's hooks: people are invited, nobody signs up; passwords are recorded as set, never themselves."""

from allauth.account.adapter import DefaultAccountAdapter

from incentives.accounts import services


class InvitedOnlyAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request):
        return False

    def set_password(self, user, password):
        """Called for a change, a reset and an accepted invitation."""
        user.set_password(password)
        services.record_password(user)
