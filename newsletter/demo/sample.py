"""What the first `make run` finds: one list, fifty readers, an editor, and the posts of examples/posts/."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from newsletter.content.loader import read_issue_file
from newsletter.content.publishing import save_draft
from newsletter.models import Issue
from subscribers.addresses import fingerprint
from subscribers.models import ConsentEvent, MailingList, Subscriber, Subscription

EDITOR = "editor"
POST_SUFFIXES = frozenset({".md", ".markdown", ".txt"})

# Name, local part, K for Korean. Invented people; example.net and example.org belong to nobody (RFC 2606).
_READERS = """
김서연 seoyeon.kim K|이도윤 doyun.lee K|박지우 jiwoo.park K|최하준 hajun.choi K|정예은 yeeun.jung K|강민준 minjun.kang K
조수아 sua.cho K|윤시우 siwoo.yoon K|장서현 seohyun.jang K|임주원 juwon.lim K|한지민 jimin.han K|오은우 eunwoo.oh K
서다은 daeun.seo K|신준서 junseo.shin K|권유진 yujin.kwon K|황건우 gunwoo.hwang K|안채원 chaewon.an K|송현우 hyunwoo.song K
류나윤 nayoon.ryu K|전지호 jiho.jeon K|홍소율 soyul.hong K|고우진 woojin.ko K|문가은 gaeun.moon K|양선우 sunwoo.yang K
손아린 arin.son K|배연우 yeonwoo.bae K|백지안 jian.baek K|허정우 jungwoo.heo K|남궁민서 minseo.namgung K|선우혜진 hyejin.sunwoo K
Amelia Novak amelia.novak E|Ben Okafor ben.okafor E|Clara Lindqvist clara.lindqvist E|Daniel Reyes daniel.reyes E
Elena Petrova elena.petrova E|Finn O'Connor finn.oconnor E|Grace Mensah grace.mensah E|Hugo Martins hugo.martins E
Ingrid Solberg ingrid.solberg E|Jonas Weber jonas.weber E|Keiko Tanaka keiko.tanaka E|Liam Byrne liam.byrne E
Mariam Haddad mariam.haddad E|Noor Rahman noor.rahman E|Oscar Dahl oscar.dahl E|Priya Raman priya.raman E
Rosa Álvarez rosa.alvarez E|Samuel Tesfaye samuel.tesfaye E|Tess de Vries tess.devries E|Wen Zhao wen.zhao E
"""


def lay_out_sample(posts: Path) -> list[Issue]:
    """The issues of `posts`, in the order of their dates, on a list with readers; for an empty database.

    Raises ContentError for a post that cannot be read, and then leaves nothing behind.
    """
    with transaction.atomic():
        mailing_list = MailingList.objects.create(
            slug="morning",
            name="아침 소식",
            description="매일 아침 다섯 분, 읽을 만한 소식 하나. Sosik's sample newsletter.",
            from_name="아침 소식",
            from_email="news@news.example.org",
            postal_address="서울특별시 중구 세종대로 110",
            language="ko",
            timezone="Asia/Seoul",
        )
        add_readers(mailing_list, _sample_readers(), source="sample data")
        sources = [read_issue_file(path) for path in find_posts(posts)]
        sources.sort(key=lambda source: (source.dated_on is None, source.dated_on, source.path))
        return [save_draft(source, mailing_list).issue for source in sources]


def find_posts(folder: Path) -> list[Path]:
    """The posts in a folder, by name; raises FileNotFoundError when it is no folder or holds none."""
    found = sorted(path for path in folder.iterdir() if path.suffix in POST_SUFFIXES) if folder.is_dir() else []
    if not found:
        what = _("%(folder)s holds no post. Name a folder with .md, .markdown or .txt files.")
        raise FileNotFoundError(what % {"folder": folder})
    return found


def add_readers(mailing_list: MailingList, readers: list[Subscriber], *, source: str) -> None:
    """Saves unsaved subscribers as confirmed readers of the list, with the ledger entry that says where they come from."""
    now = timezone.now()
    with transaction.atomic():
        saved = Subscriber.objects.bulk_create(readers, batch_size=1000)
        Subscription.objects.bulk_create(
            [
                Subscription(
                    mailing_list=mailing_list,
                    subscriber=subscriber,
                    status=Subscription.Status.CONFIRMED,
                    source=source,
                    requested_at=now,
                    confirmation_sent_at=now,
                    confirmed_at=now,
                )
                for subscriber in saved
            ],
            batch_size=1000,
        )
        ConsentEvent.objects.bulk_create(
            [
                ConsentEvent(
                    subscriber=subscriber,
                    mailing_list=mailing_list,
                    kind=ConsentEvent.Kind.IMPORTED,
                    at=now,
                    source=source,
                )
                for subscriber in saved
            ],
            batch_size=1000,
        )


def get_editor() -> User:
    """The editor of a trial, without a password: one-time links are the way in until one is set at the desk."""
    users = get_user_model().objects
    editor = users.filter(username=EDITOR).first() or users.filter(is_active=True).order_by("pk").first()
    return editor or users.create_user(EDITOR, email="", password=None)


def default_posts() -> Path:
    """The posts that come with Sosik."""
    return Path(settings.BASE_DIR) / "examples" / "posts"


def _sample_readers() -> list[Subscriber]:
    readers = []
    for number, entry in enumerate(_READERS.replace("\n", "|").strip("|").split("|")):
        name, local, language = entry.rsplit(" ", 2)
        email = f"{local}@example.{'net' if number % 2 else 'org'}"
        readers.append(
            Subscriber(
                email=email,
                fingerprint=fingerprint(email),
                name=name,
                locale="ko" if language == "K" else "en",
                timezone="Asia/Seoul" if language == "K" else "",
            )
        )
    return readers
