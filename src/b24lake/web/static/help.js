// A link to an entry that is folded opens it.
const unfold = () => {
  const entry = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (entry instanceof HTMLDetailsElement) {
    entry.open = true;
    entry.scrollIntoView();
  }
};
document.addEventListener("DOMContentLoaded", unfold);
window.addEventListener("hashchange", unfold);
