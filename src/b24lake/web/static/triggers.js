// The editor of triggers: one more field for a time.
document.addEventListener("alpine:init", () => {
  Alpine.data("triggerTimes", () => ({
    ready: true,
    add() {
      const fields = this.$refs.times.querySelectorAll("input");
      const last = fields[fields.length - 1];
      const field = last.cloneNode();
      field.value = "";
      last.after(field);
      field.focus();
    },
  }));
});
