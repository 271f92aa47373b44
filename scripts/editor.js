// What the SQL editor takes of CodeMirror: scripts/vendor.py makes one file of it, with the global name CodeMirror.
import { StyleModule } from "style-mod";

// A strict content policy forbids the <style> elements that it would make; sheets made by a script are allowed.
const sheet = new CSSStyleSheet();
let mounted = [];
StyleModule.mount = (root, modules) => {
  const list = [modules].flat();
  if (list.every((one) => mounted.includes(one))) return;
  mounted = [...mounted.filter((one) => !list.includes(one)), ...list];
  sheet.replaceSync(mounted.map((one) => one.getRules()).join("\n"));
  if (!document.adoptedStyleSheets.includes(sheet)) document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
};

export { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
export { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
export { SQLDialect, sql } from "@codemirror/lang-sql";
export { bracketMatching, syntaxHighlighting, syntaxTree } from "@codemirror/language";
export { lintKeymap, setDiagnostics } from "@codemirror/lint";
export { EditorState, Prec } from "@codemirror/state";
export { EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
export { classHighlighter } from "@lezer/highlight";
