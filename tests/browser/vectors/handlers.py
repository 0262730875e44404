"""Every event handler content attribute that a browser knows or knew, each on another element and in another spelling."""

from __future__ import annotations

from itertools import cycle

# HTML's GlobalEventHandlers and what Pointer Events, Touch Events, CSS, Fullscreen and Selection add: a page fires them on any element.
_GLOBAL = """
abort animationcancel animationend animationiteration animationstart auxclick beforecopy beforecut beforeinput beforematch beforepaste
beforetoggle blur cancel canplay canplaythrough change click close command contentvisibilityautostatechange contextlost contextmenu
contextrestored copy cuechange cut dblclick drag dragend dragenter dragleave dragover dragstart drop durationchange emptied ended
error focus formdata fullscreenchange fullscreenerror gotpointercapture input invalid keydown keypress keyup load loadeddata
loadedmetadata loadstart lostpointercapture mousedown mouseenter mouseleave mousemove mouseout mouseover mouseup mousewheel
paste pause play playing pointercancel pointerdown pointerenter pointerleave pointermove pointerout pointerover pointerrawupdate
pointerup progress ratechange reset resize scroll scrollend scrollsnapchange scrollsnapchanging search securitypolicyviolation seeked
seeking select selectionchange selectstart slotchange stalled submit suspend timeupdate toggle transitioncancel transitionend
transitionrun transitionstart volumechange waiting webkitanimationend webkitanimationiteration webkitanimationstart
webkitfullscreenchange webkitfullscreenerror webkittransitionend wheel
"""
GLOBAL = _GLOBAL.split()

# Of the window, of SVG and of media, and those that only old or other browsers know: Internet Explorer's sixty, Firefox's XUL.
_OTHERS = """
activate afterprint afterscriptexecute afterupdate beforeactivate beforedeactivate beforeeditfocus beforeprint beforescriptexecute
beforeunload beforeupdate begin bounce cellchange compassneedscalibration controlselect dataavailable datasetchanged datasetcomplete
deactivate devicelight devicemotion deviceorientation deviceproximity end errorupdate filterchange finish focusin focusout
gesturechange gestureend gesturestart hashchange help languagechange layoutcomplete losecapture mediacomplete mediaerror message
messageerror move moveend movestart offline online outofsync pagehide pagereveal pageshow pageswap popstate propertychange readystatechange
rejectionhandled repeat resizeend resizestart resume reverse rowdelete rowenter rowexit rowinserted rowsdelete rowsenter
rowsinserted show sizechange start stop storage syncrestored timeerror touchcancel touchend touchmove touchstart trackchange
unhandledrejection unload urlflip userproximity zoom
"""
OTHERS = _OTHERS.split()

# Elements that the mail may hold, so that only the attribute is to be taken out; and as many ways to write an attribute.
_ELEMENTS = (
    "p",
    "a",
    "div",
    "table",
    "b",
    "h2",
    "li",
    "details",
    "span",
    "blockquote",
    "code",
    "sup",
    "ruby",
    "mark",
    "summary",
)
_SPELLINGS = (
    "<{tag} {on}=alert(1)>x</{tag}>",
    '<{tag} {on}="alert(1)">x</{tag}>',
    "<{tag} {on}='alert(1)'>x</{tag}>",
    '<{tag}/{on}="alert(1)">x</{tag}>',
    '<{tag}\n{on}\n=\n"alert(1)">x</{tag}>',
    "<{tag}\t{on}\t=\talert(1)\t>x</{tag}>",
    '<{tag} title="a>b" {on}="alert(1)">x</{tag}>',
    "<{tag} id=y {on}=alert&lpar;1&rpar;>x</{tag}>",
    '<{tag} {on}="&#97;lert(1)">x</{tag}>',
    "<{tag} lang=ko {on}=alert`1`>x</{tag}>",
    '<{tag} title="x"{on}="alert(1)">x</{tag}>',
    "<{tag} {ON}=alert(1)>x</{tag}>",
    '<{tag} href="https://image.test/" {on}="alert(1)">x</{tag}>',
)


def spelt(events: list[str]) -> list[str]:
    """One vector for each event."""
    elements, spellings = cycle(_ELEMENTS), cycle(_SPELLINGS)
    return [next(spellings).format(tag=next(elements), on=f"on{event}", ON=f"oN{event.upper()}") for event in events]


# Those that a browser fires by itself, without a hand on the mouse.
UNTOUCHED = """
<img src=x onerror=alert(1)>
<img src=https://image.test/a.png onload=alert(1)>
<image src=x onerror=alert(1)>
<img/src=x	onerror=alert(1)>
<img src=x:x onerror=alert(1)//>
<img src onerror=alert(1)>
<img src=x onerror="alert(1)" alt="<b>">
<img src="x` `<script>alert(1)</script>"` `onerror=alert(1)>
<svg onload=alert(1)>
<svg/onload=alert(1)>
<svg onload=alert(1)//>
<body onload=alert(1)>
<body onpageshow=alert(1)>
<body onhashchange=alert(1)><a href=#x>x</a>
<iframe onload=alert(1)></iframe>
<iframe src=about:blank onload=alert(1)></iframe>
<object data=https://evil.test/x onerror=alert(1)></object>
<embed src=https://evil.test/x onerror=alert(1)>
<link rel=stylesheet href=https://evil.test/x onerror=alert(1)>
<script src=https://evil.test/x onerror=alert(1)></script>
<style onload=alert(1)></style>
<video src=x onerror=alert(1)></video>
<video><source onerror=alert(1)></video>
<video onloadstart=alert(1)><source></video>
<audio src=x onerror=alert(1)></audio>
<audio src=data:,x onloadstart=alert(1)></audio>
<input type=image src=x onerror=alert(1)>
<input autofocus onfocus=alert(1)>
<select autofocus onfocus=alert(1)></select>
<textarea autofocus onfocus=alert(1)></textarea>
<keygen autofocus onfocus=alert(1)>
<button autofocus onfocus=alert(1)>x</button>
<a href=x autofocus onfocus=alert(1)>x</a>
<p contenteditable autofocus onfocus=alert(1)>x</p>
<xss tabindex=1 autofocus onfocus=alert(1)>x</xss>
<details open ontoggle=alert(1)>x</details>
<details/open/ontoggle=alert(1)><summary>x</summary></details>
<dialog open onclose=alert(1)><form method=dialog><button>x</button></form></dialog>
<marquee onstart=alert(1)>x</marquee>
<marquee loop=1 width=0 onfinish=alert(1)>x</marquee>
<marquee behavior=alternate onbounce=alert(1)>x</marquee>
<style>@keyframes k{}</style><p style="animation-name:k" onanimationstart=alert(1)>x</p>
<style>@keyframes k{}</style><p style="animation:k 1ms" onanimationend=alert(1)>x</p>
<svg><animate onbegin=alert(1) attributeName=x dur=1s></svg>
<svg><set onbegin=alert(1) attributename=x></svg>
<svg><animate onend=alert(1) attributeName=x dur=1ms></svg>
<svg><animate onrepeat=alert(1) attributeName=x dur=1ms repeatCount=2></svg>
<svg><image href=x onerror=alert(1)></svg>
<svg><a onload=alert(1)></a></svg>
<frameset onload=alert(1)></frameset>
<table background=x onerror=alert(1)><tr><td>x</table>
<meter value=1 onload=alert(1)>x</meter>
<track default src=x onerror=alert(1)>
<video><track default src=https://evil.test/x onerror=alert(1)></video>
<applet onerror=alert(1) code=x></applet>
<isindex onfocus=alert(1) autofocus>
<portal onload=alert(1)></portal>
<fencedframe onload=alert(1)></fencedframe>
<bgsound src=x onerror=alert(1)>
<layer onload=alert(1) src=x></layer>
<img srcset=x onerror=alert(1)>
<picture><source srcset=x><img onerror=alert(1)></picture>
<img src=x onerror=alert(1) onerror=alert(2)>
<p onpointerenter=alert(1) style="position:fixed;top:0;left:0;width:99vw;height:99vh">x</p>
""".strip().split("\n")
