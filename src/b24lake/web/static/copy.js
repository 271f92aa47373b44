// A button with data-copy copies the text of the element of this id, and says so for a moment.
(() => {
  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    // Without TLS browsers have no clipboard of their own.
    const field = document.body.appendChild(document.createElement("textarea"));
    field.value = text;
    field.select();
    document.execCommand("copy");
    field.remove();
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button[data-copy]");
    if (!button) return;
    const said = button.querySelector("[data-said]");
    const before = said.textContent;
    if (said.textContent === button.dataset.done) return;
    await copy(document.getElementById(button.dataset.copy).textContent);
    said.textContent = button.dataset.done;
    setTimeout(() => { said.textContent = before; }, 1500);
  });
})();
