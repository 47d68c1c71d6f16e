"""What intake is compared with: the least a Django view can do to store the same rows. No check, no rule, no answer in
detail; the JSON is parsed because the row keeps it as JSON."""

import hashlib
import json

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from incentives.crm.models import Delivery

HEADERS = {"content-type": "application/json", "user-agent": "bench"}


def row(connection_id: int, event: dict, raw: str) -> Delivery:
    thing = event["object"]
    return Delivery(
        connection_id=connection_id,
        delivery_key=f"ev:{event['external_id']}",
        external_id=event["external_id"],
        object_type=thing["type"],
        object_id=thing["id"],
        raw=raw,
        event=event,
        content_hash=hashlib.sha256(raw.encode()).hexdigest(),
        headers=HEADERS,
        received_at=timezone.now(),
        request_id="bench",
    )


@csrf_exempt
def single(request: HttpRequest, connection_id: int) -> HttpResponse:
    raw = request.body.decode()
    row(connection_id, json.loads(raw), raw).save(force_insert=True)
    return HttpResponse(status=202)


@csrf_exempt
def batch(request: HttpRequest, connection_id: int) -> HttpResponse:
    events = json.loads(request.body)
    Delivery.objects.bulk_create([row(connection_id, event, json.dumps(event)) for event in events])
    return HttpResponse(status=202)


urlpatterns = [
    path("bare/<int:connection_id>/single", single),
    path("bare/<int:connection_id>/batch", batch),
    path("", include("incentives.urls")),
]
