// The SQL editor: CodeMirror over the text field of the form, which stays what the form sends.
(() => {
  const C = CodeMirror;
  const KEYWORDS = "all and any as asc between by case cast cross current date desc distinct else end escape except exists explain extract false filter first following for from full group grouping having ilike in inner intersect interval is join last lateral left like limit natural not null nulls of offset on or order outer over partition preceding range recursive right rollup row rows select sets similar some system_time then timestamp to true unbounded union unnest using values version when where window with within";
  const TYPES = "array bigint boolean bytea char date decimal double float int integer interval numeric real smallint string text time timestamp tinyint varchar";
  const RESERVED = new Set(KEYWORDS.split(" "));
  const plain = /^[A-Za-z_][A-Za-z0-9_]*$/;
  const quoted = (name) => (plain.test(name) && !RESERVED.has(name.toLowerCase()) ? name : `"${name.replaceAll('"', '""')}"`);
  const bare = (word) => (word.startsWith('"') ? word.replace(/^"|"$/g, "").replaceAll('""', '"') : word);

  // What the service tells: names once, the columns of a table when they are needed first.
  let names = null;
  const asked = new Map();
  const ask = async (address) => { const answer = await fetch(address); return answer.ok ? answer.json() : null; };
  const known = async () => {
    if (names) return names;
    const found = await ask("/query/names").catch(() => null);
    if (!found) return { layers: [], tables: [], functions: [], by: new Map() };
    names = { ...found, by: new Map(found.tables.map((one) => [`${one[0]}.${one[1]}`, one])) };
    return names;
  };
  const columns = async (table) => {
    if (!asked.has(table)) asked.set(table, ask(`/query/columns?table=${encodeURIComponent(table)}`).catch(() => null));
    const found = await asked.get(table);
    if (!found) asked.delete(table);
    return found || [];
  };

  // The tables that a text reads, and what they are called in it.
  const WORD = '(?:"(?:[^"]|"")*"|[\\p{L}_][\\p{L}\\p{N}_$]*)';
  const TABLE = new RegExp(`(${WORD})\\s*\\.\\s*(${WORD})(?:\\s+(?:for\\s+)?(?:version|timestamp|system_time)\\s+as\\s+of\\s+(?:\\d+|'[^']*'))?(?:\\s+(?:as\\s+)?(${WORD}))?`, "giu");
  const read = (text, there) => {
    const found = new Map();
    for (const [, layer, name, alias] of text.matchAll(TABLE)) {
      const table = `${bare(layer)}.${bare(name)}`;
      if (!there.by.has(table)) continue;
      found.set(bare(name), table);
      if (alias && !RESERVED.has(alias.toLowerCase())) found.set(bare(alias), table);
    }
    return found;
  };

  const called = (name) => (view, completion, from, to) => {
    const open = view.state.sliceDoc(to, to + 1) === "(";
    view.dispatch({ changes: { from, to, insert: open ? name : `${name}()` }, selection: { anchor: from + name.length + 1 } });
  };
  const option = {
    column: ([name, type, label], boost = 2) => ({ label: name, apply: quoted(name), type: "property", detail: label && label !== name ? `${type} · ${label}` : type, boost }),
    table: ([layer, name, about, kind], full) => ({ label: full ? `${layer}.${name}` : name, apply: full ? `${quoted(layer)}.${quoted(name)}` : quoted(name), type: kind === "view" ? "interface" : "class", detail: about, boost: 1 }),
    layer: (name) => ({ label: name, apply: quoted(name), type: "namespace", detail: "" }),
    function: (name) => ({ label: name, type: "function", detail: "( )", apply: called(name), boost: -1 }),
    keyword: (name) => ({ label: name.toUpperCase(), type: "keyword" }),
  };
  const WORDS = [...new Set(`${KEYWORDS} ${TYPES}`.split(" "))].map(option.keyword);

  const PATH = new RegExp(`(?:${WORD}\\.)*(?:"[^"\\n]*|[\\p{L}\\p{N}_$]*)$`, "u");
  const complete = async (context) => {
    const inside = C.syntaxTree(context.state).resolveInner(context.pos, -1).name;
    if (/Comment$/.test(inside) || inside === "String") return null;
    const line = context.state.doc.lineAt(context.pos);
    const path = PATH.exec(context.state.sliceDoc(line.from, context.pos))[0];
    const parts = path.match(new RegExp(`${WORD}(?=\\.)`, "gu")) || [];
    const last = path.slice(path.lastIndexOf(".") + 1);
    if (!path && !context.explicit) return null;
    const there = await known();
    if (context.aborted) return null;
    const tables = read(context.state.doc.toString(), there), from = context.pos - last.length;
    const validFor = last.startsWith('"') ? /^"[^"]*$/ : /^[\p{L}\p{N}_$]*$/u;
    const of = (options) => (options.length ? { from, options: last.startsWith('"') ? options.map((one) => ({ ...one, label: `"${one.label}"` })) : options, validFor } : null);
    const words = parts.map(bare);
    if (words.length === 2) return there.by.has(words.join(".")) ? of((await columns(words.join("."))).map((one) => option.column(one))) : null;
    if (words.length === 1) {
      const table = tables.get(words[0]);
      if (table) return of((await columns(table)).map((one) => option.column(one)));
      return of(there.tables.filter((one) => one[0] === words[0]).map((one) => option.table(one, false)));
    }
    if (words.length) return null;
    const used = [...new Set(tables.values())].slice(0, 8);
    const seen = new Map();
    for (const found of await Promise.all(used.map(columns))) for (const one of found) seen.set(one[0], one);
    const aliases = [...tables].filter(([name, table]) => !table.endsWith(`.${name}`)).map(([name, table]) => ({ label: name, apply: quoted(name), type: "variable", detail: table, boost: 3 }));
    return of([...aliases, ...[...seen.values()].map((one) => option.column(one)), ...there.tables.map((one) => option.table(one, true)), ...there.layers.map(option.layer), ...there.functions.map(option.function), ...WORDS]);
  };

  const dialect = C.SQLDialect.define({ keywords: KEYWORDS, types: TYPES, identifierQuotes: '"', doubleQuotedStrings: false, operatorChars: "+-*/<>=~!@#%^&|" });

  // What is typed in the place of coloured text: a browser would give it the same look by a style of its own, which the
  // content policy forbids.
  const typedOver = (event, view) => {
    const { main, ranges } = view.state.selection;
    if (event.inputType !== "insertText" || !event.data || main.empty || ranges.length > 1 || view.composing) return false;
    event.preventDefault();
    const insert = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
    const handled = view.state.facet(C.EditorView.inputHandler).some((handle) => handle(view, main.from, main.to, event.data, insert));
    if (!handled) view.dispatch(insert());
    return true;
  };

  window.sqlEditor = (field, run) => {
    const box = document.createElement("div");
    box.className = "query-editor";
    field.after(box);
    const view = new C.EditorView({
      parent: box,
      state: C.EditorState.create({
        doc: field.value,
        extensions: [
          C.Prec.highest(C.keymap.of([{ key: "Mod-Enter", run: () => { run(); return true; } }])),
          C.lineNumbers(), C.history(), C.drawSelection(), C.bracketMatching(), C.closeBrackets(), C.highlightActiveLine(),
          C.sql({ dialect }),
          C.autocompletion({ override: [complete], icons: false, maxRenderedOptions: 60 }),
          C.syntaxHighlighting(C.classHighlighter),
          // Tab is not among them: it leaves the editor, as everywhere.
          C.keymap.of([...C.closeBracketsKeymap, ...C.defaultKeymap, ...C.historyKeymap, ...C.completionKeymap, ...C.lintKeymap]),
          C.EditorView.lineWrapping,
          C.EditorView.domEventHandlers({ beforeinput: typedOver }),
          C.EditorView.contentAttributes.of({ "aria-label": field.dataset.label, "aria-describedby": field.getAttribute("aria-describedby") }),
          C.EditorView.updateListener.of((update) => { if (update.docChanged) field.value = update.state.doc.toString(); }),
        ],
      }),
    });
    field.hidden = true;
    known();
    return {
      // The selection, or everything; and where it begins.
      wanted() {
        const { from, to } = view.state.selection.main;
        return view.state.sliceDoc(from, to).trim() ? { sql: view.state.sliceDoc(from, to), from } : { sql: view.state.doc.toString(), from: 0 };
      },
      mark(from, to, message) {
        const end = view.state.doc.length, at = Math.min(from, end);
        view.dispatch(C.setDiagnostics(view.state, [{ from: at, to: Math.min(Math.max(to, at + 1), end), severity: "error", message }]));
        view.dispatch({ selection: { anchor: at }, scrollIntoView: true });
        view.focus();
        const line = view.state.doc.lineAt(at);
        return { line: line.number, column: at - line.from + 1 };
      },
      clear() { view.dispatch(C.setDiagnostics(view.state, [])); },
    };
  };
})();
