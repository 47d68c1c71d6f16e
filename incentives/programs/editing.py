"""Writing a program: from a starting point to a draft, and from a version to the next."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.pages import Guarded, crumbs
from incentives.programs import gallery, services
from incentives.programs.forms import DefinitionForm
from incentives.programs.pages import LIST, ProgramPart
from incentives.programs.rules.parsing import parse_definition, warnings
from incentives.programs.selectors import definition_of, draft_of, plain_document, visible_programs
from incentives.programs.summary import differences, grouped


class EditorPage(Guarded, View):
    """GET shows the form, POST checks it (`action=check`: shows what it means) or saves it. Nothing is saved with errors."""

    permission = "programs.edit"
    editing = False

    def get(self, request, *args, **kwargs):
        return self.show(self.form(initial=self.initial()))

    def post(self, request, *args, **kwargs):
        form = self.form(request.POST)
        if not form.is_valid():
            return self.show(form, status=422)
        if request.POST.get("action") == "check":
            return self.show(form)
        try:
            program = self.save(form)
        except DomainError as exc:
            form.add_error(None, exc.user_message)
            return self.show(form, status=exc.status)
        return redirect(program)

    def form(self, *args, **kwargs) -> DefinitionForm:
        return DefinitionForm(*args, editing=self.editing, **kwargs)

    def show(self, form: DefinitionForm, status: int = 200):
        definition = form.definition if form.is_bound and form.is_valid() else None
        context = {
            "form": form,
            "outline": grouped(definition) if definition else [],
            "warnings": warnings(definition) if definition else [],
            "cancel_url": self.cancel_url(),
            **self.context(definition),
        }
        return render(self.request, "programs/edit.html", context, status=status)


class NewProgramPage(EditorPage):
    """`?start=` names a starting point of the gallery, or `empty`; `?copy=` a program to begin from. Without either the
    gallery is shown."""

    def get(self, request, *args, **kwargs):
        if not request.GET.get("start") and not request.GET.get("copy"):
            context = {"entries": gallery.entries(timezone.localdate()), "crumbs": crumbs(LIST)}
            return render(request, "programs/gallery.html", context)
        return super().get(request, *args, **kwargs)

    def initial(self) -> dict:
        if wanted := self.request.GET.get("copy"):
            return self.copied(wanted)
        slug = self.request.GET["start"]
        if slug == "empty":
            return DefinitionForm.initial_of({"rewards": []}) | {"currency": "USD"}
        found = gallery.entry(slug, timezone.localdate())
        if found is None:
            raise Http404
        return DefinitionForm.initial_of(found.document)

    def copied(self, public_id: str) -> dict:
        """Another program's rules, with days ahead. Targets, people and terms stay with the other."""
        try:
            program = visible_programs(self.request.user).filter(public_id=UUID(public_id)).first()
        except ValueError:
            program = None
        if program is None:
            raise Http404
        document = plain_document(definition_of(program))
        document |= gallery.days_ahead(document, timezone.localdate())
        document["name"] = gettext("Copy of %(name)s") % {"name": document["name"][:100]}
        budget = program.budget.public_id if program.budget and program.budget.is_active else None
        return DefinitionForm.initial_of(document) | {"budget": budget}

    def save(self, form: DefinitionForm):
        program = services.create_program(
            document=form.document, actor=self.request.user, budget=form.cleaned_data["budget"]
        )
        messages.success(self.request, gettext("The draft is saved. Nothing counts before it is launched."))
        return program

    def cancel_url(self) -> str:
        return reverse("programs:new")

    def context(self, definition) -> dict:
        return {"title": gettext("New program"), "crumbs": crumbs(LIST)}


class EditProgramPage(ProgramPart, EditorPage):
    permission = "programs.edit"
    editing = True

    def initial(self) -> dict:
        draft = draft_of(self.program)
        document = draft.definition if draft else self.published_document()
        return DefinitionForm.initial_from(parse_definition(document)) | {"note": draft.note if draft else ""}

    def published_document(self) -> dict:
        """What the next version follows: the newest published one, even if it has not started."""
        version = self.program.newest_version
        return version.definition if version else self.program.current_definition

    def save(self, form: DefinitionForm):
        note = form.cleaned_data["note"]
        version = services.edit_draft(program=self.program, document=form.document, actor=self.request.user, note=note)
        if self.program.current_version:
            message = gettext(
                "Version %(n)s is saved as a draft. The published version stays in force until it is published."
            )
        else:
            message = gettext("The draft is saved. Nothing counts before it is launched.")
        messages.success(self.request, message % {"n": version.number})
        return self.program

    def cancel_url(self) -> str:
        return self.program.get_absolute_url()

    def context(self, definition) -> dict:
        published = self.program.newest_version
        changes = differences(published.definition, definition) if published and definition else []
        return {
            **self.frame(),
            "title": gettext("Edit %(program)s") % {"program": self.program.name},
            "published": published,
            "changes": changes,
            "closed": self.program.status in (self.program.Status.CLOSED, self.program.Status.ARCHIVED),
        }
