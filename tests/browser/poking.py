"""The scripts of the stand: what writes a document into a frame, what does to it all that a reader may do, what takes notes."""

from __future__ import annotations

# In every page and frame before its own first script. eval stays as it is: Playwright needs it, and what it runs is noted by itself.
RECORDER = """
(() => {
  if (window === window.top) window.seen = [];
  const note = (what) => {
    let frame = window;
    while (frame !== window.top && frame.parent !== window.top) frame = frame.parent;
    try { window.top.seen.push([frame.name, what]); } catch (error) {}
  };
  window.takeNotes = () => {
    for (const name of ["alert", "confirm", "prompt", "print", "open"]) window[name] = () => note(`ran ${name}`);
  };
  window.takeNotes();
})();
"""

# Frames are used again and again, but for one in which something happened.
WRITE = """
async ({ bodies, sandbox }) => {
  window.seen.length = 0;
  for (const [number, body] of bodies.entries()) {
    const name = `doc-${number}`;
    let frame = document.querySelector(`iframe[name=${name}]`);
    if (frame === null) {
      frame = document.createElement("iframe");
      frame.name = name;
      if (sandbox !== null) frame.sandbox = sandbox;
      document.body.append(frame);
    }
    const page = frame.contentDocument;
    page.open();
    const names = ["alert", "confirm", "prompt", "print", "open"];
    for (const one of names) frame.contentWindow[one] = () => window.seen.push([name, `ran ${one}`]);
    page.addEventListener("securitypolicyviolation", (event) => {
      window.seen.push([name, `stopped: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`]);
    });
    page.write(body);
    page.close();
  }
  const frames = document.querySelectorAll("iframe");
  for (let number = frames.length; number > bodies.length; number -= 1) frames[number - 1].remove();
  const isLoading = (frame) => frame.contentDocument && frame.contentDocument.readyState !== "complete";
  for (let turns = 0; turns < 100 && [...document.querySelectorAll("iframe")].some(isLoading); turns += 1) {
    await new Promise((done) => setTimeout(done, 10));
  }
}
"""

# Everything a reader may do to an element, and every handler that it declares; a harmless link is not followed.
POKE = """
async () => {
  const EVENTS = ["mouseover", "mouseenter", "mousemove", "mousedown", "mouseup", "click", "dblclick", "contextmenu", "pointerover",
    "pointerdown", "keydown", "focus", "focusin", "blur", "input", "change", "toggle", "copy", "drag", "scroll", "touchstart"];
  const SAFE = ["http:", "https:", "mailto:", "tel:"];
  const note = (frame, what) => window.seen.push([frame.name, what]);
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument;
    const home = frame.hasAttribute("src") ? frame.src : document.URL;
    if (!page || page.URL.split("#")[0] !== home) { note(frame, "went elsewhere"); continue; }
    const { HTMLFormElement, HTMLHeadElement } = frame.contentWindow;
    if (typeof page.cookie !== "string" || typeof page.getElementById !== "function" || page.body instanceof HTMLFormElement
        || !(page.head instanceof HTMLHeadElement)) note(frame, "clobbered");
    for (const element of page.querySelectorAll("*")) {
      for (const { name } of [...element.attributes]) {
        if (!/^on/i.test(name)) continue;
        note(frame, `kept ${name}`);
        element.dispatchEvent(new Event(name.slice(2).toLowerCase(), { bubbles: true, cancelable: true }));
      }
      const leads = element.protocol !== undefined && element.hasAttribute("href");
      const runs = leads && !SAFE.includes(element.protocol);
      if (runs) note(frame, `kept address ${element.getAttribute("href")}`);
      for (const type of EVENTS) element.dispatchEvent(new Event(type, { bubbles: true, cancelable: true }));
      if (typeof element.focus === "function") element.focus({ preventScroll: true });
      const sends = element.formAction !== undefined && !SAFE.includes(new URL(element.formAction).protocol);
      if (runs || sends || element.matches("summary, svg a, math *, xss, x-element")) {
        if (typeof element.click === "function") element.click();
        else element.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
      }
    }
  }
  for (let frames = 0; frames < 3; frames += 1) await new Promise(requestAnimationFrame);
  await new Promise((done) => setTimeout(done, 40));
  const seen = window.seen.splice(0);
  for (const [name] of seen) document.querySelector(`iframe[name=${name}]`)?.remove();
  return seen;
}
"""
