"""A list's CSS may restyle the post; it may not fetch, move, hide, or lose anything on its way."""

from __future__ import annotations

import pytest
from lxml import html

from newsletter.rendering.blocks import LINE_ATTRIBUTE
from newsletter.rendering.extra_css import CLASSES, MAX_CSS_BYTES, PARTS, PROPERTIES, check_css, read_css
from newsletter.rendering.markdown import to_html
from newsletter.rendering.render import render_issue
from tests.newsletter.rendering.test_theme import a_list, issue_of

ALLOWED = [
    "h2 { color: #0b6656 }",
    "h2, h3 { font-weight: 700; letter-spacing: -0.5px }",
    "blockquote > p { padding: 4px 0 1px 16px; border-left: 3px solid rgb(11, 102, 86) }",
    "p:first-child { font-size: 1.2em; line-height: 1.5 }",
    ".title { font-family: Georgia, 'Noto Serif KR', serif !important }",
    ".page { background-color: #eee }",
    ".head, .name, .date, .header, .content, .footer { background-color: #fffefb }",
    "a:hover { text-decoration: none }",
    "@media (prefers-color-scheme: dark) { h2 { color: #66cfb9 } }",
    "@media only screen and (max-width: 480px) { .title { font-size: 22px } }",
    "@media screen and (min-width: 481px) and (max-width: 700px) { td { padding: 2px } }",
    "/* a comment */ hr { border-top-width: 2px /* and another */ }",
    "p { font-size: 10px; line-height: 1; letter-spacing: -0.1em; word-spacing: -0.2em; margin: 0 0 1em }",
    "blockquote { font-size: 85%; padding: 5%; background-color: transparent; color: rgba(27, 33, 31, 0.8) }",
    "img { max-width: 50%; border: 1px solid transparent; border-radius: 999px }",
    "",
]
REFUSED = [
    ("p { font-size: 0 }", "font-size: 0"),
    ("p { font-size: 4px }", "font-size: 4px"),
    ("p { font-size: .5em }", "font-size: .5em"),
    ("p { font-size: 7pt }", "font-size: 7pt"),
    ("p { font-size: 40% }", "font-size: 40%"),
    ("p { font-size: XX-small }", "font-size: XX-small"),
    ("@media (max-width: 480px) { p { font-size: 1px } }", "font-size: 1px"),
    ("p { font-size: 2000px }", "font-size: 2000px"),
    ("p { line-height: 0 }", "line-height: 0"),
    ("p { line-height: 5px }", "line-height: 5px"),
    ("p { letter-spacing: -20px }", "letter-spacing: -20px"),
    ("p { letter-spacing: 900px }", "letter-spacing: 900px"),
    ("p { word-spacing: -3em }", "word-spacing: -3em"),
    ("p { color: transparent }", "color: transparent"),
    ("p { color: Transparent }", "color: Transparent"),
    ("p { color: rgba(0, 0, 0, 0) }", "color: rgba(0, 0, 0, 0)"),
    ("p { color: rgb(0, 0, 0, 4%) }", "color: rgb(0, 0, 0, 4%)"),
    ("p { max-width: 0 }", "max-width: 0"),
    ("p { padding-left: 9999px }", "padding-left: 9999px"),
    ("p { margin: 0 0 0 100% }", "margin: 100%"),
    ("p { vertical-align: 900px }", "vertical-align: 900px"),
    ("p { text-decoration: line-through 30px }", "text-decoration: 30px"),
    ("p { border-top: 4000px solid #fffefb }", "border-top: 4000px"),
    ("p { opacity: 0.1 }", "opacity"),
    ("p { height: 0; overflow: hidden }", "height"),
    ("p { max-height: 0; overflow: hidden }", "max-height"),
    ("p { text-indent: -999px }", "text-indent"),
    ("p { clip: rect(0, 0, 0, 0) }", "clip"),
    ("p { clip-path: inset(50%) }", "clip-path"),
    ("p { transform: scale(0) }", "transform"),
    ("p { -webkit-text-fill-color: transparent }", "-webkit-text-fill-color"),
    ("p { text-shadow: none; width: 0 }", "width"),
    ("p { filter: none }", "filter"),
    ("p { font: 0/0 a }", "“font”"),
    ("p { background-image: url(https://evil.example/x) }", "background-image"),
    ("p { background-color: url(x) }", "url"),
    ("p { list-style-type: image-set('x') }", "image-set()"),
    ("p { color: expression(alert(1)) }", "expression()"),
    ("p { color: var(--x) }", "var()"),
    ("p { margin-left: calc(1px - 99px) }", "calc()"),
    ("p { position: fixed }", "position"),
    ("p { display: none }", "display"),
    ("p { visibility: hidden }", "visibility"),
    ("p { opacity: 0 }", "opacity"),
    ("p { behavior: none }", "behavior"),
    ("p { -moz-binding: none }", "-moz-binding"),
    ("p { --x: 1px }", "--x"),
    ("p { content: 'x' }", "content"),
    ("p { margin-bottom: -400px }", "-400px"),
    ("p { padding: 10vh }", "10vh"),
    ("p { color: #0008 }", "#0008"),
    ("p { color: #00000080 }", "#00000080"),
    ("p { color: rgb(0 0 0 / 50%) }", "rgb(0 0 0 / 50%)"),
    ("p { color: hsl(120deg 50% 50%) }", "hsl()"),
    ("p { font-family: 'x;y' }", "x;y"),
    ("p { color: red } </style><script>", "<"),
    ("p { color: \\72 ed }", "\\"),
    ("\\70 { color: red }", "\\"),
    ("@import 'https://evil.example/x.css';", "@import"),
    ("@IMPORT url(x);", "@IMPORT"),
    ("@font-face { font-family: x; src: url(x) }", "@font-face"),
    ("@supports (color: red) { p { color: red } }", "@supports"),
    ("@charset 'utf-8';", "@charset"),
    ("@media print { p { color: red } }", "@media print"),
    ("@media (max-width: 1px), all { p { color: red } }", "@media"),
    ("@media (max-width: 480px) { @media (min-width: 1px) { p { color: red } } }", "inside another"),
    ("p { color: red; h2 { color: red } }", "inside another"),
    (".foot { color: red }", ".foot"),
    (".foot a { color: #fffefb }", ".foot a"),
    (".sheet .foot { color: red }", ".sheet .foot"),
    ("td.foot { color: red }", "td.foot"),
    ("p, .foot { color: red }", ".foot"),
    (".preheader { color: red }", ".preheader"),
    (".text { color: red }", ".text"),
    (".row { color: red }", ".row"),
    (".content ~ td { color: red }", ".content ~ td"),
    (".content + td { color: red }", ".content + td"),
    ("* { color: red }", "*"),
    ("body { color: red }", "body"),
    ("html { color: red }", "html"),
    ("#id { color: red }", "#id"),
    ("[class] { color: red }", "[class]"),
    ("a:visited { color: red }", "a:visited"),
    (":has(a) { color: red }", ":has(a)"),
    ("p:not(.x) { color: red }", "p:not(.x)"),
    ("p::before { color: red }", "p::before"),
    (", p { color: red }", "selector"),
    ("> p { color: red }", "> p"),
    ("{ color: red }", "selector"),
    (".page { color: red }", ".page"),
    (".page:hover { background-color: red }", ".page:hover"),
    ("p { color }", "declaration"),
    ("p { color: }", "no value"),
    ("p } h2 { color: red }", "selector"),
    ("color: red;", "not CSS"),
]


@pytest.mark.parametrize("css", ALLOWED)
def test_what_is_plain_passes(css: str) -> None:
    assert check_css(css) == ()


@pytest.mark.parametrize(("css", "named"), REFUSED, ids=[css[:40] for css, _named in REFUSED])
def test_what_is_not_allowed_is_named_with_a_line_and_a_remedy(css: str, named: str) -> None:
    problems = check_css("\n\n" + css)
    assert problems
    assert any(named in problem.message for problem in problems), [problem.message for problem in problems]
    for problem in problems:
        assert problem.level == "error"
        assert problem.line == 3
        assert problem.remedy.endswith((".", ";", "}"))
        assert problem.place == "extra_css"


def test_a_stylesheet_that_is_too_large_is_refused_whole() -> None:
    css = "p { color: red }\n" * (MAX_CSS_BYTES // 17 + 1)
    assert "bytes" in check_css(css)[0].message
    assert read_css(css).inlined == read_css(css).kept == ""


@pytest.mark.parametrize(("css", "_named"), REFUSED, ids=[css[:40] for css, _named in REFUSED])
def test_what_is_not_allowed_never_reaches_a_mail(css: str, _named: str) -> None:
    page = render_issue(issue_of(a_list(extra_css=css))).html
    plain = render_issue(issue_of(a_list())).html
    foot = html.document_fromstring(page).find_class("foot")[0]
    assert html.tostring(foot) == html.tostring(html.document_fromstring(plain).find_class("foot")[0])
    for word in (
        "url(",
        "image-set",
        "expression",
        "@import",
        "behavior",
        "binding",
        "var(",
        "calc(",
        "evil",
        "none",
        "fixed",
    ):
        assert page.count(word) == plain.count(word), word
    assert page.count("<style") <= plain.count("<style") + 1
    assert "<script" not in page


def test_rules_are_inlined_and_media_rules_are_kept() -> None:
    css = """h2 { color: #a61e4d }
    .title { font-size: 40px !important }
    .page { background-color: #e0e0e0 }
    a:hover { color: #a61e4d }
    @media (prefers-color-scheme: dark) { h2 { color: #faa2c1 } }"""
    page = render_issue(issue_of(a_list(extra_css=css), "## A heading")).html
    tree = html.document_fromstring(page)
    assert "color:#a61e4d" in tree.find(".//h2").get("style")
    title = tree.find_class("title")[0].get("style")
    assert "font-size:40px" in title
    assert "important" not in title  # it would win over the kept rules for phones and dark
    assert all("background-color:#e0e0e0" in element.get("style") for element in tree.find_class("around"))
    kept = tree.findall(".//style")[-1].text
    assert ".prose h2 { color: #faa2c1 !important }" in kept
    assert ".prose a:hover { color: #a61e4d !important }" in kept


def test_the_foot_cannot_be_reached_by_any_selector_or_property() -> None:
    """Everything that is allowed, with the worst value there is: the foot's own styles stay as they were."""
    selectors = ", ".join(f".{name}" for name in (*PARTS[1:], *CLASSES)) + ", p, a, td, tr, table, div"
    names = sorted(PROPERTIES - {"font-family"})
    worst = {"font-size": "10px", "line-height": "0.8", "max-width": "16px"}
    css = f"{selectors} {{ {'; '.join(f'{name}: {worst.get(name, 0)}' for name in names)} }}\n{selectors} {{ color: #fffefb }}"
    assert check_css(css) == ()
    plain = html.document_fromstring(render_issue(issue_of(a_list())).html)
    styled = html.document_fromstring(render_issue(issue_of(a_list(extra_css=css))).html)
    assert "font-size:10px" in styled.find_class("content")[0].get("style")
    for tree_class in ("foot", "row foot", "sheet", "frame"):
        for before, after in zip(
            plain.xpath(f"//*[contains(@class, '{tree_class}')]"),
            styled.xpath(f"//*[contains(@class, '{tree_class}')]"),
            strict=True,
        ):
            assert before.get("style") == after.get("style")
    assert html.tostring(plain.find_class("foot")[0]) == html.tostring(styled.find_class("foot")[0])


def test_every_allowed_property_survives_premailer() -> None:
    values = {"font-family": "serif", "color": "#123456", "background-color": "#123456"}
    css = "".join(f"h2 {{ {name}: {values.get(name, 'inherit')} }}\n" for name in sorted(PROPERTIES))
    assert check_css(css) == ()
    style = (
        html.document_fromstring(render_issue(issue_of(a_list(extra_css=css), "## A heading")).html)
        .find(".//h2")
        .get("style")
    )
    assert {name for name in PROPERTIES if f"{name}:" not in style} == set()


def test_no_html_of_a_post_can_hide_its_words() -> None:
    body = (
        '<p style="display:none" hidden class="preheader" width="0">one</p><div style="height:0" class="foot">two</div>'
        '<font color="#fffefb" size="1">three</font> <span style="color:transparent" class="x">four</span>\n\n'
        'five\n{: style="opacity:0" class="foot" hidden=1 }\n'
    )
    attributes = {name for element in html.fromstring(to_html(body)).iter() for name in element.attrib}
    assert attributes <= {LINE_ATTRIBUTE}
