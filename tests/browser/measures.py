"""What is measured in a page, each as JavaScript that Chromium runs and that gives plain values back."""

from __future__ import annotations

# Elements that reach over the window's edge with something to see in them; inside a box that scrolls only the box counts.
OVER_THE_EDGE = """() => {
  const found = [], width = document.documentElement.clientWidth;
  const scrolls = e => e && e !== document.body && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  for (const e of document.body.querySelectorAll('*')) {
    const r = e.getBoundingClientRect();
    if (r.width && r.height && (r.right > width + 1 || r.left < -1) && !scrolls(e.parentElement))
      found.push(`${e.tagName} ${Math.round(r.left)}..${Math.round(r.right)} of ${width}`);
  }
  if (document.scrollingElement.scrollWidth > innerWidth) found.push(`page ${document.scrollingElement.scrollWidth} of ${innerWidth}`);
  return found;
}"""

# Cells in which some line has room for fewer than two letters of their script though the cell says more.
PILLARS = """() => [...document.querySelectorAll('.prose td, .prose th')].filter(cell => {
  const style = getComputedStyle(cell), range = document.createRange();
  range.selectNodeContents(cell);
  const lines = new Set([...range.getClientRects()].map(r => Math.round(r.top)));
  const room = cell.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return room < 2 * parseFloat(style.fontSize) && lines.size > 1;
}).map(cell => cell.textContent.trim())"""

# Cells of a table that begin beyond what its box shows.
OUT_OF_SIGHT = """() => [...document.querySelectorAll('.prose .wide')].flatMap(box => [...box.querySelectorAll('td, th')].filter(
  cell => cell.getBoundingClientRect().right > box.getBoundingClientRect().right + 1).map(cell => cell.textContent.trim()))"""

# Text that a box with hidden overflow cuts off.
CUT_OFF = """() => [...document.body.querySelectorAll('*')].filter(e => {
  const s = getComputedStyle(e);
  return e.getClientRects().length && s.opacity !== '0' && /hidden|clip/.test(s.overflowX) && e.scrollWidth > e.clientWidth + 1;
}).map(e => e.tagName + ' ' + e.className)"""

# Every text node that can be seen: its words, the size of its letters, and the element's tag.
LETTERS = """() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, range = document.createRange();
    if (!node.data.trim()) continue;
    range.selectNodeContents(node);
    if (![...range.getClientRects()].some(r => r.width && r.height)) continue;
    found.push({words: node.data.trim().slice(0, 40), px: parseFloat(getComputedStyle(node.parentElement).fontSize),
                tag: node.parentElement.closest('sup,sub,small,code,pre,figcaption,th,td,li,p,h1,h2,h3,h4,h5,h6,dt,dd,div').tagName,
                inFoot: Boolean(node.parentElement.closest('.foot, .footnote'))});
  }
  return found;
}"""

# The box of every element, in the order of the document; what takes no room has none.
BOXES = """() => [...document.body.querySelectorAll('*')].map(e => {
  const r = e.getBoundingClientRect();
  return {tag: e.tagName + (e.className ? '.' + e.className : ''), words: e.textContent.trim().slice(0, 30),
          box: [r.left, r.top + scrollY, r.width, r.height]};
})"""

DROP_STYLESHEETS = "() => document.querySelectorAll('style').forEach(style => style.remove())"

# Each text node, and each image's alt text, with its contrast to what is behind it: WCAG 2.2's ratio from computed colours.
CONTRASTS = """onPaper => {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 1;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const ground = dark && getComputedStyle(document.documentElement).colorScheme.includes('dark') ? [18, 18, 18, 1] : [255, 255, 255, 1];
  const behind = e => {
    if (!e || onPaper) return onPaper ? [255, 255, 255, 1] : ground;
    const style = getComputedStyle(e), below = over(rgba(style.backgroundColor), behind(e.parentElement));
    const plain = style.backgroundImage.match(/^linear-gradient\\((rgba?\\([^)]*\\))/);  // a colour no client turns dark
    return plain ? over(rgba(plain[1]), below) : below;
  };
  const light = c => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const luminance = c => 0.2126 * light(c[0]) + 0.7152 * light(c[1]) + 0.0722 * light(c[2]);
  const judge = (element, words) => {
    const style = getComputedStyle(element), back = behind(element);
    let opacity = 1;
    for (let e = element; e; e = e.parentElement) opacity *= parseFloat(getComputedStyle(e).opacity);
    const ink = rgba(style.color); ink[3] *= opacity;
    const [a, b] = [luminance(over(ink, back)), luminance(back)];
    const px = parseFloat(style.fontSize), bold = parseInt(style.fontWeight) >= 700;
    return {words: words.trim().slice(0, 30), tag: element.tagName, color: style.color, back: back.slice(0, 3).map(Math.round).join(),
            ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), least: px >= 24 || (bold && px >= 18.66) ? 3 : 4.5};
  };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, range = document.createRange();
    if (!node.data.trim()) continue;
    range.selectNodeContents(node);
    if ([...range.getClientRects()].some(r => r.width && r.height)) found.push(judge(node.parentElement, node.data));
  }
  for (const image of document.images) if (image.alt && image.getClientRects().length) found.push(judge(image, image.alt));
  return found;
}"""
