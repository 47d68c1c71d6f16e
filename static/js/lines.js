// Adds an empty product to the form without a round trip. Without this the button asks the server for one.
for (const section of document.querySelectorAll("[data-lines]")) {
  const list = section.querySelector("[data-lines-list]");
  const empty = section.querySelector("[data-lines-empty]");
  const total = section.querySelector("input[name$=TOTAL_FORMS]");
  const most = Number(section.querySelector("input[name$=MAX_NUM_FORMS]").value);
  section.querySelector("[data-lines-add]").addEventListener("click", (event) => {
    const number = Number(total.value);
    event.preventDefault();
    if (number >= most) return;
    const markup = empty.innerHTML.replaceAll("__prefix__", String(number));
    list.insertAdjacentHTML("beforeend", markup);
    total.value = String(number + 1);
    list.lastElementChild.querySelector("input").focus();
  });
}
