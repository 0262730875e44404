// A dropped or chosen file goes in at once. Without this module the button below it does the same.

const form = document.querySelector("[data-drop-form]");
if (form) {
  const input = form.querySelector("input[type=file]");
  const zone = input.closest(".drop");
  form.querySelector("[data-drop-button]").hidden = true;
  input.addEventListener("change", () => input.files.length && form.requestSubmit());
  input.addEventListener("dragenter", () => zone.classList.add("is-over"));
  for (const end of ["dragleave", "drop"]) input.addEventListener(end, () => zone.classList.remove("is-over"));
}
