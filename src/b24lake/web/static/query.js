// The SQL explorer: runs what is in the editor, shows its rows, and ends it when nobody waits any longer.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("query"), told = form.dataset, part = (id) => document.getElementById(id);
  const PAGE = 100, LONG = 80, SHOWN = 300;
  const number = new Intl.NumberFormat(document.documentElement.lang);
  const make = (name, text, more = {}) => Object.assign(document.createElement(name), text == null ? {} : { textContent: text }, more);
  let running = null, answer = null, page = 0;

  const busy = (on) => {
    part("run").disabled = on;
    part("cancel").hidden = !on;
    part("elapsed").textContent = "";
  };
  const run = async () => {
    if (running) return;
    const { sql, from } = editor.wanted();
    const data = new URLSearchParams({ token: form.elements.token.value, sql, limit: part("limit").value, seconds: part("seconds").value });
    const began = performance.now(), mine = new AbortController();
    running = mine;
    busy(true);
    editor.clear();
    part("trouble").replaceChildren();
    part("result").hidden = false;
    part("said").textContent = told.running;
    const clock = setInterval(() => { part("elapsed").textContent = `${number.format(Math.floor((performance.now() - began) / 100) / 10)} s`; }, 100);
    try {
      const response = await fetch("/query/run", { method: "POST", body: data, signal: mine.signal, redirect: "error" });
      const found = await response.json();
      if (found.error) failed(found.error, from); else show(found);
    } catch (error) {
      if (mine.signal.aborted) { hide(); part("trouble").replaceChildren(alert("warning", told.cancelled)); }
      else failed({ what: told.lost }, 0);
    } finally {
      clearInterval(clock);
      running = null;
      busy(false);
      document.body.dispatchEvent(new CustomEvent("ran"));
    }
  };

  // --- what went wrong, at its place ---------------------------------------------------------------------------------
  const alert = (level, what, lines = []) => {
    const box = make("div", null, { className: `alert alert-${level}`, role: "alert" }), body = make("div");
    body.append(make("h2", what, { className: "alert-heading h4" }), ...lines);
    box.append(body);
    return box;
  };
  const hide = () => { answer = null; part("result").hidden = true; part("grid").replaceChildren(); part("pager").replaceChildren(); part("said").textContent = ""; };
  const failed = (error, from) => {
    hide();
    const lines = [];
    const line = (...children) => { const one = make("div", null, { className: "alert-description" }); one.append(...children); lines.push(one); };
    if (error.from != null) {
      const at = editor.mark(from + error.from, from + error.to, [error.what, error.why].filter(Boolean).join(": "));
      line(make("strong", told.line.replace("{line}", at.line).replace("{column}", at.column)));
    }
    if (error.why) line(`${told.why}: ${error.why}`);
    if (error.fix) line(make("strong", `${told.fix}:`), ` ${error.fix}`);
    part("trouble").replaceChildren(alert("danger", error.what, lines));
  };

  // --- rows ----------------------------------------------------------------------------------------------------------
  const show = (found) => {
    answer = { ...found, order: null, up: true };
    page = 0;
    part("said").textContent = found.said;
    part("note").textContent = found.note || (found.rows.length ? "" : told.none);
    part("note").hidden = !part("note").textContent;
    draw();
    part("grid").scrollTo(0, 0);
  };
  const value = (text) => {
    if (text === null) return make("i", "null", { className: "query-null" });
    if (text === "") return make("i", '""', { className: "query-null", title: told.empty });
    if (text.length <= LONG) return document.createTextNode(text);
    return make("button", `${text.slice(0, SHOWN)}${text.length > SHOWN ? " …" : ""}`, { type: "button" });
  };
  const draw = () => {
    const table = make("table", null, { className: "table table-sm table-vcenter card-table" }), head = make("tr"), body = make("tbody");
    answer.columns.forEach((column, place) => {
      const cell = make("th", null, { scope: "col", className: column.number ? "text-none numbers" : "text-none", title: column.label });
      const turn = make("button", null, { type: "button", title: told.sort });
      const sign = answer.order === place ? (answer.up ? " ▲" : " ▼") : "";
      if (sign) cell.setAttribute("aria-sort", answer.up ? "ascending" : "descending");
      turn.append(column.name + sign, make("small", column.type, { className: "d-block" }));
      turn.addEventListener("click", () => sort(place));
      cell.append(turn);
      head.append(cell);
    });
    answer.rows.slice(page * PAGE, (page + 1) * PAGE).forEach((row, line) => {
      const one = make("tr");
      row.forEach((text, place) => {
        const cell = make("td", null, { className: answer.columns[place].number ? "numbers" : "" });
        cell.dataset.at = `${page * PAGE + line} ${place}`;
        cell.append(value(text));
        one.append(cell);
      });
      body.append(one);
    });
    const top = make("thead");
    top.append(head);
    table.append(top, body);
    part("grid").replaceChildren(table);
    pages();
  };
  const pages = () => {
    const count = answer.rows.length, last = Math.ceil(count / PAGE) - 1;
    const range = told.rows.replace("{from}", number.format(page * PAGE + 1)).replace("{to}", number.format(Math.min(count, (page + 1) * PAGE))).replace("{all}", number.format(count));
    const step = (sign, to) => {
      const button = make("button", sign, { type: "button", className: "btn btn-sm", disabled: to < 0 || to > last });
      button.addEventListener("click", () => { page = to; draw(); part("grid").scrollTo(part("grid").scrollLeft, 0); });
      return button;
    };
    part("pager").replaceChildren(...(last > 0 ? [step("‹", page - 1), make("span", range, { className: "mx-2 numbers" }), step("›", page + 1)] : []));
  };
  const sort = (place) => {
    answer.up = answer.order === place ? !answer.up : true;
    answer.order = place;
    const way = answer.up ? 1 : -1;
    const compare = answer.columns[place].number ? (a, b) => Number(a) - Number(b) : (a, b) => a.localeCompare(b);
    answer.rows.sort((a, b) => {
      const [one, other] = [a[place], b[place]];
      if (one === null || other === null) return (one === null) - (other === null);
      return way * compare(one, other);
    });
    page = 0;
    draw();
    part("grid").querySelectorAll("th button")[place].focus();
  };

  // --- one whole value -----------------------------------------------------------------------------------------------
  const dialog = part("value");
  part("grid").addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-at]");
    if (!cell || !answer || window.getSelection().toString()) return;
    const [row, place] = cell.dataset.at.split(" ").map(Number), text = answer.rows[row][place], column = answer.columns[place];
    part("value-title").textContent = column.label && column.label !== column.name ? `${column.name} (${column.label})` : column.name;
    part("value-type").textContent = column.type;
    let shown = text ?? "null";
    if (text && /^(array|struct|map)/.test(column.type)) { try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { shown = text; } }
    part("value-text").textContent = text === "" ? `(${told.empty})` : shown;
    dialog.showModal();
  });
  part("value-close").addEventListener("click", () => dialog.close());
  part("value-copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(part("value-text").textContent);
    part("value-copy").lastChild.textContent = ` ${told.copied}`;
  });

  const editor = window.sqlEditor(part("sql"), run);
  form.addEventListener("submit", (event) => {
    if (event.submitter && event.submitter.hasAttribute("formaction")) return;
    event.preventDefault();
    run();
  });
  for (const id of ["name", "description"]) {
    part(id).addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); form.requestSubmit(part("save")); } });
  }
  part("cancel").addEventListener("click", () => running?.abort());
  window.addEventListener("pagehide", () => running?.abort());
});
