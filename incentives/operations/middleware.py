"""Answers the probes before anything looks at the host name or the session.

A load balancer probes by IP address, which is not in ALLOWED_HOSTS; and a probe must not fail because sessions do.
"""

from incentives.operations import views

PROBES = {"/healthz": views.healthz, "/readyz": views.readyz}


class ProbeMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return PROBES.get(request.path, self.get_response)(request)
