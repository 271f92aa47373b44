// The live list of sources: it is not exchanged under somebody's hands, and says when the connection is lost.
(() => {
  const list = () => document.getElementById("list");
  const held = () => {
    const shown = list();
    return shown && (shown.querySelector(".dropdown-menu.show") || shown.contains(document.activeElement));
  };
  document.addEventListener("htmx:config:request", (event) => {
    const { sourceElement, request } = event.detail.ctx;
    if (sourceElement === list() && request.method === "GET" && held()) event.preventDefault();
  });
  const lost = (gone) => document.getElementById("lost")?.classList.toggle("d-none", !gone);
  document.addEventListener("htmx:error", () => lost(true));
  document.addEventListener("htmx:after:request", () => lost(false));
})();
