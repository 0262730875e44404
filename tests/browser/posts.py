"""The mails that are laid out here: our examples, the sample posts where they are, and posts made to break a layout."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

from newsletter.content.loader import IssueSource, read_issue_file, read_issue_text
from newsletter.content.publishing import unsaved_issue
from newsletter.rendering.merge import fill_slots
from newsletter.rendering.render import render_issue
from subscribers.models import MailingList

ROOT = Path(__file__).resolve().parents[2]
SUBJECT = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft와 아주 긴 제목 🧵"
LONG_WORD = "supercalifragilisticexpialidocious" * 6
LONG_URL = "https://example.org/" + "a-very-long-path/" * 12 + "?q=" + "x" * 120

TORTURE = f"""---
title: "{SUBJECT}"
slug: torture
lang: ko
date: 2026-11-24
description: 이 문장은 받은편지함의 목록에만 보입니다.
---

{LONG_WORD} and {LONG_URL} in one line, with `{LONG_WORD}` as code, **{LONG_WORD}** and <{LONG_URL}>.

한국어와 日本語と中文和English가 한 문단에 있고, العربية도 있습니다: <span lang="ar" dir="rtl">مرحبا بالعالم</span>, H<sub>2</sub>O와
x<sup>2</sup>, <mark>형광펜</mark>, ~~지운 말~~, *기울인 말*, <small>작은 글씨</small>[^1].

# A first heading in the text
## {LONG_WORD}
### Three
#### Four
##### Five
###### Six

- one
  - two
    - three
      - four
        - five
          - six
            - seven {LONG_WORD}

                  code {"in a list " * 20}

1. first

   > a quote in a list
   >
   > > and another, with {LONG_WORD}
   > >
   > > - and a list
   > >
   > > ```python
   > > value = "{"a long line of code " * 12}"
   > > ```
2. ![an image in a list](https://example.org/list.png)

- [x] done
- [ ] not done

| {" | ".join(f"column {n}" for n in range(12))} |
|{"---|" * 12}
| {" | ".join(["a few words here"] * 12)} |
| {" | ".join([LONG_WORD[:40]] * 12)} |

| left | right |
|:-----|------:|
| ![wide](https://example.org/cell.png) | {LONG_URL} |

![아주 넓은 그림](https://example.org/wide.png "설명이 붙은 그림입니다")

[![a linked image](https://example.org/linked.png)](https://example.org/)

<img src="https://example.org/huge.png" width="2000" height="500" alt="an image that says it is 2,000 pixels wide">
<img src="https://example.org/icon.png" width="20" height="20" alt="ok"> a small one in a line of text.

<table width="1200"><tr>
<td width="900">a raw table with widths</td>
<td nowrap>that does not want to wrap at all, {LONG_WORD}</td></tr></table>

<div align="center"><p>a raw paragraph {LONG_WORD}</p></div>

Term
:   Its definition, {LONG_WORD}

```
{"a line of code that goes on " * 20}
```

    {"indented code " * 30}

---

[^1]: A footnote with {LONG_URL}
"""

RIGHT_TO_LEFT = """---
title: رسالة الصباح
slug: arabic
lang: ar
description: ما في هذا العدد
---

صباح الخير، هذه [رسالة قصيرة](https://example.org/ar) عن الحديقة في الخريف.

## العنوان

- واحد
  - اثنان
- ثلاثة

1. أولا
2. ثانيا

> اقتباس قصير

| شهر | عدد |
|-----|----:|
| يناير | 12 |

```python
print("left to right")
```
"""


TABLES = f"""---
title: Tables of every script
slug: tables
lang: en
---

| メールアドレス | 日付 | 内容の説明 | 担当者の名前 | 状況 | 備考 |
|---|---|---|---|---|---|
| 東京都千代田区霞が関 | 11月24日 | 新しい本棚を入れて照明を直しました | 山田太郎 | 済 | 次の週に写真を撮って送ります |

| 지역 | 날짜 | 내용 설명 | 담당자 | 상태 | 비고 |
|---|---|---|---|---|---|
| 서울특별시 종로구 | 11월 24일 | 새 책장을 들이고 조명을 고쳤습니다 | 김민지 | 완료 | 다음 주에 사진을 찍어 보냅니다 |

| Key | What it means |
|---|---|
| {LONG_WORD} | What a long word in the first column must not cut off |
| {LONG_URL} | Nor an address |
| `{LONG_WORD}` | Nor code |

- ![In a list](https://example.org/list.png?w=1600&h=900)

> ![In a quote](https://example.org/quote.png?w=1600&h=900)

| One | Two |
|---|---|
| ![In a cell](https://example.org/cell.png?w=1600&h=900) | words |
"""


def _plain_list() -> MailingList:
    return MailingList(
        slug="morning",
        name="아침 소식",
        from_name="아침 소식",
        from_email="news@news.example.org",
        postal_address="서울특별시 중구 세종대로 110",
        language="ko",
    )


def _dressed_list() -> MailingList:
    """A list that has set everything a list can set about its look."""
    mailing_list = _plain_list()
    mailing_list.name = "아주 긴 이름을 가진 뉴스레터 " + "Donaudampfschifffahrtsgesellschaft" * 2
    mailing_list.accent_color = "#ffd400"
    mailing_list.logo_url = "https://example.org/logo.png"
    mailing_list.logo_width, mailing_list.logo_height = 320, 80
    mailing_list.header_markdown = f"[지난 호](https://example.org/) · {LONG_WORD}"
    mailing_list.footer_markdown = f"**편집실** 드림. [{LONG_URL}]({LONG_URL})\n\n- 하나\n- 둘"
    return mailing_list


def _sources() -> dict[str, tuple[IssueSource, MailingList]]:
    files = [
        *sorted((ROOT / "examples" / "posts").glob("*.md")),
        *sorted((ROOT.parent / "shared" / "seeds").glob("*.txt")),
    ]
    found = {file.stem[:20]: (read_issue_file(file), _plain_list()) for file in files}
    found["torture"] = (read_issue_text(TORTURE, "torture.md"), _plain_list())
    found["torture-dressed"] = (read_issue_text(TORTURE, "torture.md"), _dressed_list())
    wide = _plain_list()
    wide.logo_url, wide.logo_width, wide.logo_height = "https://example.org/logo.png", 552, 310
    found["tables"] = (read_issue_text(TABLES, "tables.md"), wide)
    found["right-to-left"] = (read_issue_text(RIGHT_TO_LEFT, "arabic.md"), _plain_list())
    return found


SOURCES = _sources()


@cache
def mail(name: str) -> str:
    """The HTML part of one of SOURCES, for a reader without a name."""
    source, mailing_list = SOURCES[name]
    issue = unsaved_issue(source, mailing_list)
    issue.dated_on = issue.dated_on or date(2026, 11, 24)
    return fill_slots(render_issue(issue).html, {"token": "t" * 32})
