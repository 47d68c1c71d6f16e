"""Pages speak the signed-in person's language and show times in their zone."""

import zoneinfo

from django.conf import settings
from django.utils import timezone, translation


class TimeZoneMiddleware:
    """Zone and language of the person signed in. Visitors: UTC and what the browser asks for."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.languages = dict(settings.LANGUAGES)

    def __call__(self, request):
        if request.path.startswith("/hooks/"):  # machines' endpoints read no session
            return self.get_response(request)
        name = getattr(request.user, "time_zone", "UTC") if request.user.is_authenticated else "UTC"
        try:
            zone = zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            zone = zoneinfo.ZoneInfo("UTC")
        if request.user.is_authenticated and request.user.language in self.languages:
            translation.activate(request.user.language)  # LocaleMiddleware puts it back at the next request
            request.LANGUAGE_CODE = translation.get_language()
        with timezone.override(zone):
            return self.get_response(request)
