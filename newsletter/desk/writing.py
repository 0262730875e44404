"""Writing a draft: begin, upload, edit, save. Two editors never overwrite each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Substr
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from newsletter.content.front_matter import ContentError
from newsletter.content.loader import IssueSource, read_issue_text
from newsletter.content.publishing import EDITED_HASH_LENGTH, save_draft
from newsletter.content.slugs import MAX_SLUG_LENGTH, make_slug
from newsletter.desk.forms import DraftForm, StartForm, UploadForm
from newsletter.models import Issue
from newsletter.rendering.errors import FieldError, RenderError
from newsletter.rendering.render import check_fields, render_issue
from subscribers.models import MailingList

# Where a saved draft goes next, by the name of the button that saved it.
_NOT_RENDERED: dict[str, Any] = {"html": "", "text": "", "web_html": "", "findings": [], "rendered_at": None}
_NEXT_STEPS = {"test": "test", "schedule": "schedule", "send": "send"}


@require_http_methods(["GET", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    """Makes a draft of a title and a list."""
    usual = {"mailing_list": Issue.objects.order_by("-pk").values_list("mailing_list", flat=True).first()}
    form = StartForm(request.POST or None, initial=usual)
    if request.method == "POST" and form.is_valid():
        return redirect("desk:write", pk=_begin(form.cleaned_data["subject"], form.cleaned_data["mailing_list"]).pk)
    context = {
        "form": form,
        "upload": UploadForm(prefix="upload", initial=usual),
        "has_list": MailingList.objects.exists(),
    }
    return render(request, "desk/start.html", context)


@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """Makes or updates a draft from a Markdown file with front matter, by the same way as `manage.py publish`."""
    form = UploadForm(request.POST, request.FILES, prefix="upload")
    if not form.is_valid():
        return render(request, "desk/start.html", {"form": StartForm(), "upload": form, "has_list": True}, status=422)
    file = form.cleaned_data["file"]
    try:
        source = read_issue_text(_decode(file.read(), file.name), file.name)
        mailing_list = _list_of(source.list_slug, form.cleaned_data["mailing_list"], file.name)
        published = save_draft(source, mailing_list, overwrite=form.cleaned_data["overwrite"], judge=_judge(source))
    except ContentError as error:
        form.add_error("file", str(error))
        return render(request, "desk/start.html", {"form": StartForm(), "upload": form, "has_list": True}, status=422)
    said = {
        "created": _("“%(file)s” is a draft now."),
        "updated": _("The draft is now as “%(file)s” has it."),
        "unchanged": _("“%(file)s” was here already; nothing has changed."),
    }
    messages.success(request, said[published.change] % {"file": file.name})
    return redirect("desk:issue", pk=published.issue.pk)


@require_http_methods(["GET", "POST"])
def write(request: HttpRequest, pk: int) -> HttpResponse:
    """The draft in a form; POST saves it unless somebody else saved it in the meantime."""
    issue = get_object_or_404(Issue.objects.select_related("mailing_list"), pk=pk)
    if issue.status != Issue.Status.DRAFT:
        return _tell_closed(request, issue) if request.method == "POST" else redirect("desk:watch", pk=pk)
    if request.method == "GET":
        return _show(request, issue, DraftForm(instance=issue))
    form = DraftForm(request.POST, instance=issue)
    if not form.is_valid() or not _has_good_fields(form):
        return _show(request, issue, form, status=422)
    try:
        saved = _save_if_unchanged(pk, form.cleaned_data["revision"], form.draft_fields())
    except IntegrityError:  # somebody took the slug between the check and the save
        form.add_error("slug", _("Another issue has this address."))
        return _show(request, issue, form, status=422)
    if not saved:
        return _show_conflict(request, pk, form)
    step = _NEXT_STEPS.get(request.POST.get("then", ""))
    if step:
        return redirect("desk:ask", pk=pk, action=step)
    return redirect("desk:write", pk=pk)


def _has_good_fields(form: DraftForm) -> bool:
    """Does every merge field typed stand where it can, and does the list have it? Otherwise the form says where one does not."""
    try:
        check_fields(form.instance)
    except FieldError as error:
        for each in (error, *error.others):
            form.add_error(each.column, str(each))
        return False
    return True


def _judge(source: IssueSource) -> Callable[[Issue], None]:
    """Refuses a file that could not become a mail, by the file's own line."""

    def judge(issue: Issue) -> None:
        try:
            render_issue(issue)
        except RenderError as error:
            raise source.error_in(error.column, error.line, error.what, error.advice) from error

    return judge


def _begin(subject: str, mailing_list: MailingList) -> Issue:
    today = timezone.localdate()
    slug = make_slug(subject, today)
    number = 1
    while True:
        ending = f"-{number}" if number > 1 else ""
        try:
            with transaction.atomic():
                return Issue.objects.create(
                    mailing_list=mailing_list,
                    subject=subject,
                    slug=slug[: MAX_SLUG_LENGTH - len(ending)] + ending,
                    language=mailing_list.language,
                    dated_on=today,
                )
        except IntegrityError:
            number += 1


def _save_if_unchanged(pk: int, revision: int, fields: dict[str, Any]) -> bool:
    """Writes over exactly the revision the editor has seen; what was rendered of the old text goes."""
    with transaction.atomic():
        return (
            Issue.objects.filter(pk=pk, status=Issue.Status.DRAFT, revision=revision).update(
                **fields,
                **_NOT_RENDERED,
                source_hash=Substr("source_hash", 1, EDITED_HASH_LENGTH),
                revision=F("revision") + 1,
                updated_at=timezone.now(),
            )
            == 1
        )


def _show(request: HttpRequest, issue: Issue, form: DraftForm, status: int = 200) -> HttpResponse:
    return render(request, "desk/write.html", {"issue": issue, "form": form}, status=status)


def _show_conflict(request: HttpRequest, pk: int, form: DraftForm) -> HttpResponse:
    """Both versions side by side. Mine stands in a form whose save goes over theirs, knowingly."""
    theirs = get_object_or_404(Issue.objects.select_related("mailing_list"), pk=pk)
    if theirs.status != Issue.Status.DRAFT:
        return _tell_closed(request, theirs)
    mine = request.POST.copy()
    mine["revision"] = str(theirs.revision)
    my_form, their_form = DraftForm(mine, instance=theirs), DraftForm(instance=theirs, auto_id="theirs_%s")
    for field in their_form.fields.values():
        field.disabled = True
    typed = form.draft_fields()
    context = {
        "issue": theirs,
        "form": my_form,
        "pairs": [(my_form[n], their_form[n]) for n, value in typed.items() if value != getattr(theirs, n)],
        "same": [my_form[n] for n, value in typed.items() if value == getattr(theirs, n)],
    }
    return render(request, "desk/conflict.html", context, status=409)


def _tell_closed(request: HttpRequest, issue: Issue) -> HttpResponse:
    """The issue left draft while it was being written: the text typed is shown once more, to be copied."""
    context = {"issue": issue, "typed": request.POST.get("body_markdown", "")}
    return render(request, "desk/closed.html", context, status=409)


def _decode(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ContentError(name, line, _("this is not UTF-8."), _("Save the file as UTF-8.")) from error


def _list_of(slug: str, otherwise: MailingList, name: str) -> MailingList:
    if not slug:
        return otherwise
    found = MailingList.objects.filter(slug=slug).first()
    if found is None:
        raise ContentError(name, None, _("there is no list “%(slug)s”.") % {"slug": slug}, _("Correct “list:”."))
    return found
