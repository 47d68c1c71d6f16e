// A table of checkboxes in a form: tick all, count, add up. Without this the boxes and buttons work by themselves.
function refresh(form) {
  const boxes = [...form.querySelectorAll("input[data-bulk]")];
  const ticked = boxes.filter((box) => box.checked);
  const all = form.querySelector("input[data-bulk-all]");
  if (all) {
    all.checked = ticked.length > 0 && ticked.length === boxes.length;
    all.indeterminate = ticked.length > 0 && ticked.length < boxes.length;
  }
  const output = form.querySelector("output[data-bulk-count]");
  if (output) output.textContent = summary(output, ticked);
}

// Amounts are whole minor units; each currency is added up by itself.
function summary(output, ticked) {
  if (!ticked.length) return output.dataset.none;
  const sums = new Map();
  for (const box of ticked) {
    if (!box.dataset.minor) continue;
    const known = sums.get(box.dataset.currency) ?? { minor: 0n, digits: Number(box.dataset.digits) };
    known.minor += BigInt(box.dataset.minor);
    sums.set(box.dataset.currency, known);
  }
  const amounts = [...sums].map(([currency, { minor, digits }]) => `${show(minor, digits)}\u00a0${currency}`);
  return [output.dataset.some.replace("%", ticked.length), ...amounts].join(" · ");
}

function show(minor, digits) {
  const sign = minor < 0n ? "\u2212" : "";
  const text = (minor < 0n ? -minor : minor).toString().padStart(digits + 1, "0");
  const whole = BigInt(text.slice(0, text.length - digits)).toLocaleString(document.documentElement.lang);
  const point = (1.5).toLocaleString(document.documentElement.lang).charAt(1);
  return sign + whole + (digits ? point + text.slice(-digits) : "");
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-bulk-form]");
  if (!form) return;
  if (event.target.matches("input[data-bulk-all]")) {
    for (const box of form.querySelectorAll("input[data-bulk]")) box.checked = event.target.checked;
  }
  refresh(form);
});

// After coming back, the browser restores ticks without telling.
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-bulk-form]").forEach(refresh));
