// Behaviour that pages share. Components are registered by name: the content policy allows no code in attributes.
document.addEventListener("alpine:init", () => {
  Alpine.data("theme", () => ({
    turn() {
      const now = document.documentElement.getAttribute("data-bs-theme");
      localStorage.setItem("theme", now === "dark" ? "light" : "dark");
      window.dispatchEvent(new Event("theme"));
    },
  }));
  // A text field and how many characters it has left.
  Alpine.data("counter", () => ({
    used: 0,
    init() { this.count(); },
    count() { this.used = [...this.$refs.text.value].length; },
    get left() { return Number(this.$refs.text.dataset.most) - this.used; },
    get over() { return this.left < 0; },
  }));
});

// Requests by htmx carry the token of the session, as the hidden field of a form does.
document.addEventListener("htmx:config:request", (event) => {
  const token = document.querySelector("meta[name=csrf-token]").content;
  event.detail.ctx.request.headers["X-CSRF-Token"] = token;
});

// On a phone the tabs of a page are wider than the screen, and the one that is shown has to be seen.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".page-tabs .active")?.scrollIntoView({ inline: "center", block: "nearest" });
});
