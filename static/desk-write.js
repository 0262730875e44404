// Writing: a live preview, counters, Ctrl+S, and a warning before leaving with unsaved words. The page works without it.

const form = document.getElementById("write-form");
const pane = form.querySelector("[data-preview]");
const state = form.querySelector("[data-state]");
const PREVIEW_DELAY = 500; // milliseconds after the last key: a rendering takes about 100
const DESKTOP_WIDTH = 680; // CSS pixels, as desk.css draws it

/* --- preview: each version loads in a new frame behind the one being read, so nothing flickers and "back" stays clean --- */
let frames = 0;
let loading = false;
let again = false;
let timer = 0;

function refresh() {
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  const shown = pane.querySelector("iframe");
  const next = shown.cloneNode(false);
  next.removeAttribute("src");
  next.name = `preview-${++frames}`;
  next.className = "is-loading";
  pane.append(next);
  next.addEventListener("load", () => {
    if (next.contentWindow.location.href === "about:blank") return;
    next.contentWindow.scrollTo(0, shown.contentWindow.scrollY);
    next.className = "";
    shown.remove();
    loading = false;
    if (again) {
      again = false;
      refresh();
    }
  });
  const carrier = document.createElement("form");
  carrier.method = "post";
  carrier.action = pane.dataset.preview;
  carrier.target = next.name;
  carrier.hidden = true;
  for (const [name, value] of new FormData(form)) {
    const field = document.createElement("textarea"); // keeps line breaks, which a hidden input would lose
    field.name = name;
    field.value = value;
    carrier.append(field);
  }
  document.body.append(carrier);
  carrier.submit();
  carrier.remove();
}

form.querySelector("[data-preview-button]").hidden = true;
form.addEventListener("input", (event) => {
  clearTimeout(timer);
  timer = setTimeout(refresh, event.target.name === "view" ? 0 : PREVIEW_DELAY);
});

pane.classList.add("is-fitted");
new ResizeObserver(() => {
  pane.style.setProperty("--fit", Math.min(1, pane.clientWidth / DESKTOP_WIDTH).toFixed(4));
}).observe(pane);

/* --- counters in columns: a Hangul syllable takes two, as in an inbox --- */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const columns = (text) => Array.from(text).reduce((sum, character) => sum + (WIDE.test(character) ? 2 : 1), 0);

for (const field of form.querySelectorAll("[data-columns]")) {
  const limit = Number(field.dataset.columns);
  const counter = document.createElement("span");
  counter.className = "counter";
  form.querySelector(`label[for="${field.id}"]`).append(counter);
  const count = () => {
    const used = columns(field.value);
    counter.textContent = `${used} / ${limit}`;
    counter.classList.toggle("is-over", used > limit);
  };
  field.addEventListener("input", count);
  count();
}

/* --- saving --- */
let unsaved = false;
form.addEventListener("input", (event) => {
  if (event.target.name === "view") return;
  unsaved = true;
  state.textContent = form.dataset.unsaved;
  state.classList.add("is-unsaved");
});
form.addEventListener("submit", () => {
  unsaved = false;
});
addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") {
    event.preventDefault();
    form.requestSubmit(form.querySelector("[data-save]"));
  }
});
