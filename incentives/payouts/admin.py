"""The Django admin as a door to the same services: it approves and rejects, money is read-only."""

from django import forms
from django.contrib import admin, messages
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from incentives.core.admin import ReadOnlyAdmin
from incentives.core.errors import DomainError
from incentives.payouts import services
from incentives.payouts.models import Approval, ApprovalPolicy, Hold, Payout, ProductChoice


class RejectForm(forms.Form):
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), label=_("Reason"))


@admin.register(Payout)
class PayoutAdmin(ReadOnlyAdmin):
    permission = "payouts.view"
    list_display = ["created_at", "amount", "recipient_name", "program", "status", "submitted_by", "order"]
    list_filter = ["status", "program"]
    search_fields = ["recipient_name", "public_id"]
    list_select_related = ["program", "submitted_by", "order"]
    actions = ["approve_selected", "reject_selected"]

    def has_approve_permission(self, request) -> bool:
        return request.user.can("payouts.approve") or request.user.can("payouts.approve_as_manager")

    @admin.action(description=_("Approve selected payouts"), permissions=["approve"])
    def approve_selected(self, request, queryset):
        seen = list(queryset.values_list("pk", "content_hash"))
        outcomes = services.approve_many(seen=seen, actor=request.user, ip_address=request.META.get("REMOTE_ADDR"))
        self._report(request, _("approved"), outcomes)

    @admin.action(description=_("Reject selected payouts"), permissions=["approve"])
    def reject_selected(self, request, queryset):
        form = RejectForm(request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            context = self.admin_site.each_context(request) | {"form": form, "payouts": queryset, "opts": self.opts}
            return TemplateResponse(request, "admin/payouts/reject.html", context)
        outcomes = services.reject_many(
            ids=list(queryset.values_list("pk", flat=True)),
            actor=request.user,
            reason=form.cleaned_data["reason"],
            ip_address=request.META.get("REMOTE_ADDR"),
        )
        self._report(request, _("rejected"), outcomes)
        return None

    def _report(self, request, done, outcomes) -> None:
        if count := sum(outcome.ok for outcome in outcomes):
            self.message_user(request, f"{count} {done}.", messages.SUCCESS)
        for outcome in outcomes:
            if not outcome.ok and isinstance(outcome.error, DomainError):
                self.message_user(request, f"{outcome.payout}: {outcome.error.user_message}", messages.ERROR)


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    permission = "payouts.view"
    list_display = ["at", "payout", "step", "decision", "actor_name", "reason"]
    list_select_related = ["payout"]


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    permission = "payouts.view"
    list_display = ["placed_at", "payout", "kind", "reason", "lifted_at", "lifted_by"]
    list_select_related = ["payout", "lifted_by"]


@admin.register(ProductChoice)
class ProductChoiceAdmin(ReadOnlyAdmin):
    permission = "payouts.view"
    list_display = ["payout", "product_name", "how", "chosen_by", "chosen_at", "deadline", "committed_at"]
    list_select_related = ["payout", "chosen_by"]


@admin.register(ApprovalPolicy)
class ApprovalPolicyAdmin(ReadOnlyAdmin):
    permission = "payouts.view"
    list_display = ["position", "name", "program", "participant_type", "up_to_minor", "steps", "is_active"]
    list_select_related = ["program"]
