// Behaviour of the wizard. Without it everything can be filled in all the same: it saves work, it decides nothing.

const all = (root, selector) => [...root.querySelectorAll(selector)];
const visible = (row) => !row.hidden;

// --- leaving a step: what was typed is saved first ------------------------------------------------------------------

let changed = false;
document.addEventListener("input", (event) => {
  if (event.target.form?.matches("[data-wizard]") && event.target.type !== "search") changed = true;
});
document.addEventListener("change", (event) => {
  if (event.target.name && event.target.form?.matches("[data-wizard]")) changed = true;
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-go]");
  const form = document.querySelector("form[data-wizard]");
  if (!link || !form || !changed || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  form.elements.go.value = link.dataset.go;
  changed = false;
  form.requestSubmit();
});

// The first thing that is wrong gets the focus.
const show = () => {
  const wrong = document.querySelector("form [aria-invalid=true], [data-first-error], #content .alert-danger");
  if (!wrong) return;
  if (!wrong.matches("input, select, textarea")) wrong.tabIndex = -1;
  wrong.closest("details")?.setAttribute("open", "");
  wrong.focus();
};

// --- lists that are searched ----------------------------------------------------------------------------------------

const fits = (words, text) => text.toLowerCase().split(/\s+/).every((part) => words.toLowerCase().includes(part));

document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-filter-text]")) return;
  const form = event.target.closest("[data-filter]");
  const items = all(form, "[data-filter-words]");
  items.forEach((item) => { item.hidden = !fits(item.dataset.filterWords, event.target.value); });
  form.querySelector("[data-filter-none]").hidden = items.some(visible);
});

// --- streams --------------------------------------------------------------------------------------------------------

// What a search hides is left alone: it is not chosen by accident, and the box of its group does not speak of it.
const boxes = (root) => all(root, "input[name=stream]:not(:disabled)").filter((box) => visible(box.closest("tr")));

const tally = () => {
  const form = document.querySelector("form[data-streams]");
  if (!form?.querySelector("[data-count]")) return;
  form.querySelector("[data-count]").textContent = all(form, "input[name=stream]:checked").length;
  all(form, "[data-group]").forEach((group) => {
    const open = boxes(group);
    const on = open.filter((box) => box.checked).length;
    const box = group.querySelector("[data-all]");
    box.checked = on > 0 && on === open.length;
    box.indeterminate = on > 0 && on < open.length;
    box.disabled = open.length === 0;
    const every = all(group, "input[name=stream]");
    group.querySelector("[data-tally]").textContent = `${every.filter((one) => one.checked).length} / ${every.length}`;
  });
};

const narrow = () => {
  const form = document.querySelector("form[data-streams]");
  const find = form?.querySelector("#find");
  if (!find) return;
  const only = form.querySelector("#only").checked;
  all(form, "tr[data-words]").forEach((row) => {
    const on = row.querySelector("input[name=stream]").checked;
    row.hidden = !fits(row.dataset.words, find.value) || (only && !on);
  });
  const groups = all(form, "[data-group]");
  groups.forEach((group) => { group.hidden = !all(group, "tr[data-words]").some(visible); });
  form.querySelector("[data-nothing]").hidden = groups.some(visible);
  tally();
};

const choose = (root, on) => {
  boxes(root).forEach((box) => { box.checked = on; });
  changed = true;
  tally();
};

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) choose(event.target.closest("[data-group]"), event.target.checked);
  if (event.target.matches("input[name=stream]")) tally();
  if (event.target.id === "only") narrow();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-select]");
  if (button) choose(button.form, button.dataset.select === "all");
});
document.addEventListener("input", (event) => { if (event.target.id === "find") narrow(); });
// Enter in a search field searches; it does not send the form.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.type === "search") event.preventDefault();
});

// --- tables ---------------------------------------------------------------------------------------------------------

const tables = () => document.querySelector("form[data-tables]");
const askNames = () => document.getElementById("table-problems").dispatchEvent(new Event("names"));

const marked = () => {
  const form = tables();
  if (!form) return [];
  const cards = all(form, "[data-stream]").filter((card) => card.querySelector("[data-mark]").checked);
  const boxesOfCards = all(form, "[data-mark]");
  const every = form.querySelector("[data-mark-all]");
  every.checked = cards.length === boxesOfCards.length;
  every.indeterminate = cards.length > 0 && cards.length < boxesOfCards.length;
  form.querySelector("[data-marked]").textContent = `${cards.length} / ${boxesOfCards.length}`;
  return cards;
};

document.addEventListener("input", (event) => {
  const form = tables();
  if (!form || !form.contains(event.target)) return;
  if (event.target.id === "prefix") {
    const old = event.target.dataset.shown ?? event.target.dataset.stored;
    all(form, "[data-table]").forEach((input) => {
      if (input.value.startsWith(old)) input.value = event.target.value + input.value.slice(old.length);
    });
    event.target.dataset.shown = event.target.value;
  }
  if (event.target.id === "layer") all(form, "[data-layer]").forEach((one) => { one.textContent = `${event.target.value}.`; });
  if (event.target.matches("#prefix, #layer, #folder, [data-table]")) askNames();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-mark-all]")) {
    all(tables(), "[data-mark]").forEach((box) => { box.checked = event.target.checked; });
  }
  if (event.target.matches("[data-mark], [data-mark-all]")) marked();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-bulk]");
  if (!button) return;
  const kind = document.getElementById("bulk-type").value;
  marked().forEach((card) => {
    const select = card.querySelector("[data-sync]");
    if (button.dataset.bulk === "names") {
      card.querySelector("[data-table]").value = document.getElementById("prefix").value + card.dataset.stream;
    } else if ([...select.options].some((option) => option.value === kind)) {
      select.value = kind;
    }
  });
  changed = true;
  askNames();
});

// The service has judged the names: each field is marked as its message is shown.
const markNames = () => {
  const form = tables();
  if (!form) return;
  all(form, "[data-table], #prefix, #layer, #folder").forEach((input) => {
    const wrong = document.getElementById(`${input.id}-error`)?.hidden === false;
    input.classList.toggle("is-invalid", wrong);
    if (wrong) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  });
};

// --- columns that are left out or hashed ------------------------------------------------------------------------------

const named = (input) => input.value.split(/[\s,]+/).filter(Boolean);

const press = (card) => {
  all(card, "[data-put]").forEach((button) => {
    const on = named(card.querySelector(`[data-${button.dataset.put}]`)).includes(button.dataset.column);
    button.setAttribute("aria-pressed", on);
    button.classList.toggle("active", on);
  });
};
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-put]");
  if (!button) return;
  const card = button.closest("[data-stream]");
  const { column, put } = button.dataset;
  ["exclude", "hash"].forEach((kind) => {
    const input = card.querySelector(`[data-${kind}]`);
    const others = named(input).filter((name) => name !== column);
    const add = kind === put && others.length === named(input).length;
    input.value = [...others, ...(add ? [column] : [])].join(", ");
  });
  changed = true;
  press(card);
});

// --- beginning, and whenever a part of the page is new ----------------------------------------------------------------

const refresh = () => {
  narrow();
  all(document, "[data-stream]").forEach(press);
};
document.addEventListener("DOMContentLoaded", () => {
  refresh();
  marked();
  show();
});
// A part of the page that is replaced while it has the focus keeps it.
let focused = null;
document.addEventListener("htmx:before:swap", () => {
  focused = document.activeElement?.closest("#checks, #offer, #run, #estimate");
});
document.addEventListener("htmx:after:swap", () => {
  refresh();
  markNames();
  if (focused && document.activeElement === document.body) {
    focused.tabIndex = -1;
    focused.focus({ preventScroll: true });
  }
});

// A lost connection: polling goes on, and the page says what it cannot know.
const lost = (on) => {
  const told = document.getElementById("lost");
  if (told) told.hidden = !on;
};
document.addEventListener("htmx:error", () => lost(true));
document.addEventListener("htmx:after:request", () => lost(false));
