// Before the first paint: the theme that was chosen, or the one of the system.
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const system = dark.matches ? "dark" : "light";
    root.setAttribute("data-bs-theme", localStorage.getItem("theme") || system);
  };
  dark.addEventListener("change", show);
  window.addEventListener("theme", show);
  show();
})();

// Times are shown in the viewer's zone: the server learns it here, and the first page is asked for once more.
(() => {
  const cookie = "zone=" + encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone);
  const known = () => document.cookie.split("; ").includes(cookie);
  if (known()) return;
  document.cookie = cookie + "; path=/; max-age=31536000; samesite=lax";
  if (known()) location.reload();
})();
