// Small conveniences. Every page works without them.

// Messages can be put away.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-dismiss]");
  if (button) button.closest(".alert").remove();
});

// Copy a value. The text itself stands beside the button.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const label = button.querySelector("[data-copy-label]");
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    label.textContent = button.dataset.copied;
  } catch {
    return; // no permission: the value can still be selected by hand
  }
  setTimeout(() => (label.textContent = before), 2000);
});

// A link that names a <dialog> opens it instead of leaving the page; without this it leads to a page with the same form.
document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const opener = event.target.closest("[data-dialog]");
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (dialog) {
    event.preventDefault();
    dialog.showModal();
    return;
  }
  const closer = event.target.closest("[data-close]");
  const open = closer && closer.closest("dialog");
  if (open) {
    event.preventDefault();
    open.close();
  }
});

// "/" goes to the list's search box, Ctrl+K (or "/" where there is no list) to the one that searches everything.
document.addEventListener("keydown", (event) => {
  const everything = event.key === "k" && (event.ctrlKey || event.metaKey) && !event.altKey;
  if (!everything) {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable]")) return;
  }
  const own = everything ? null : document.querySelector("main input[type=search]");
  const search = own || [...document.querySelectorAll("input[type=search]")].find((box) => box.offsetParent);
  if (search) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// Addresses without the empty fields of a filter form.
document.addEventListener("formdata", (event) => {
  if (event.target.method !== "get") return;
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});

// Say aloud what a refreshed part of the page now shows.
document.addEventListener("htmx:afterSettle", () => {
  const news = document.querySelector("[data-announce]");
  const place = document.getElementById("announce");
  if (news && place) place.textContent = news.dataset.announce;
});

// A second click on a button that sends a form does nothing while the first is on its way.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 5000); // the person stopped loading, or the answer was a download
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
