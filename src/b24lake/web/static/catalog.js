// The catalog: which folders are open is kept in this browser; whole values of cells; texts to copy.
(() => {
  const kept = () => JSON.parse(localStorage.getItem("catalog") || "{}");
  const searching = () => document.getElementById("q")?.value.trim();
  const restore = () => {
    if (searching()) return;
    const open = kept();
    document.querySelectorAll("details[data-key]").forEach((each) => {
      if (each.dataset.key in open) each.open = open[each.dataset.key];
    });
  };
  document.addEventListener("DOMContentLoaded", restore);
  document.addEventListener("htmx:after:swap", restore);
  // A click, not "toggle": that also comes when the page opens folders by itself.
  document.addEventListener("click", (event) => {
    const head = event.target.closest?.("details[data-key] > summary");
    if (!head || searching()) return;
    const branch = head.parentElement;
    localStorage.setItem("catalog", JSON.stringify({ ...kept(), [branch.dataset.key]: !branch.open }));
  });

  // Files and other objects are stored as JSON on one line.
  const laidOut = (text) => {
    if (!/^\s*[[{]/.test(text)) return text;
    try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
  };
  document.addEventListener("click", (event) => {
    const cell = event.target.closest?.("button[data-whole]");
    if (!cell) return;
    const box = document.getElementById("whole");
    box.querySelector("[data-title]").textContent = cell.dataset.column;
    box.querySelector("pre").textContent = laidOut(cell.dataset.whole);
    box.showModal();
  });
  document.addEventListener("click", (event) => {
    if (event.target.matches?.("dialog.whole")) event.target.close(); // beside it
  });
})();
