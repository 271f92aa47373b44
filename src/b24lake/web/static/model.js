// The diagram of the data model: dagre says where tables and lines go, this draws them as SVG that people can walk through.
document.addEventListener("DOMContentLoaded", () => {
  const held = document.getElementById("model");
  if (!held) return;
  const { tables, lines } = JSON.parse(held.textContent);
  const svg = document.getElementById("diagram");
  const part = document.getElementById("part");
  document.querySelectorAll("[data-scripted]").forEach((each) => each.classList.remove("d-none"));
  document.querySelectorAll("[data-unscripted]").forEach((each) => each.classList.add("d-none"));
  const [WIDTH, HEIGHT, GAP, APART] = [196, 46, 18, 84];
  const made = (name, attributes, parent) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    return parent ? parent.appendChild(element) : element;
  };
  const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  // --- where everything goes -----------------------------------------------------------------------------------------
  const places = new Map();
  const drawn = lines.map((line) => ({ ...line, points: [] }));
  // The lines at a side of a table are spread over it, in the order in which they come.
  const spread = (between) => {
    const sides = new Map();
    between.forEach((line) => line.asked.slice(0, 2).forEach((name, right) => {
      const key = `${right} ${name}`;
      sides.set(key, [...(sides.get(key) || []), line]);
    }));
    const ends = new Map(between.map((line) => [line, []]));
    sides.forEach((some, key) => {
      const [right, name] = [Number(key[0]), key.slice(2)];
      const { x, y } = places.get(name);
      const towards = (line) => line.points.at(right ? -1 : 0)?.y ?? places.get(line.asked[right ? 0 : 1]).y;
      some.sort((a, b) => towards(a) - towards(b)).forEach((line, number) => {
        ends.get(line)[right] = { x: x + (right ? -WIDTH / 2 : WIDTH / 2), y: y + ((number + 1) / (some.length + 1) - 0.5) * (HEIGHT - 8) };
      });
    });
    ends.forEach(([start, end], line) => {
      line.points = [start, ...line.points, end];
      if (line.asked[0] !== line.from) line.points.reverse();
    });
  };
  // Each table has its column; dagre puts those of a column in order and leads the lines between columns past the tables.
  // The tables of one portal come below those of the one before; those that nothing refers to come last, in rows.
  const layout = (portal, top) => {
    const own = tables.filter((table) => table.portal === portal);
    const column = new Map(own.map((table) => [table.name, table.place]));
    const inner = drawn.filter((line) => column.has(line.from) && line.from !== line.to);
    const between = inner.filter((line) => column.get(line.from) !== column.get(line.to));
    const [joined, placed] = [inner, between].map((some) => new Set(some.flatMap((line) => [line.from, line.to])));
    const graph = new dagre.graphlib.Graph({ multigraph: true });
    graph.setGraph({ rankdir: "LR", ranksep: APART, nodesep: GAP, edgesep: 6 });
    placed.forEach((name) => graph.setNode(name, { width: WIDTH, height: HEIGHT }));
    between.forEach((line, number) => {
      const ends = [line.from, line.to].sort((a, b) => column.get(a) - column.get(b));
      graph.setEdge(...ends, { minlen: column.get(ends[1]) - column.get(ends[0]) }, number);
      line.asked = [...ends, number];
    });
    if (placed.size) dagre.layout(graph);
    const { width = 0 } = placed.size ? graph.graph() : {};
    let low = top;
    const put = (name, x, y) => {
      places.set(name, { x, y });
      low = Math.max(low, y + HEIGHT / 2);
    };
    placed.forEach((name) => put(name, graph.node(name).x, graph.node(name).y + top));
    const first = Math.min(...[...placed].map((name) => column.get(name)));
    joined.forEach((name) => {
      if (placed.has(name)) return;
      const above = [...column].filter(([other, number]) => number === column.get(name) && places.has(other)).map(([other]) => places.get(other).y);
      const x = (placed.size ? column.get(name) - first : 0) * (WIDTH + APART) + WIDTH / 2;
      put(name, x, above.length ? Math.max(...above) + HEIGHT + GAP : top + HEIGHT / 2);
    });
    between.forEach((line) => {
      line.points = graph.edge(...line.asked).points.slice(1, -1).map(({ x, y }) => ({ x, y: y + top }));
    });
    spread(between);
    const across = Math.max(3, Math.floor(width / (WIDTH + GAP)));
    const alone = own.filter((table) => !joined.has(table.name));
    const below = low + (joined.size && alone.length ? 3 * GAP : 0);
    alone.forEach((table, number) => places.set(table.name, {
      x: (number % across) * (WIDTH + GAP) + WIDTH / 2,
      y: below + Math.floor(number / across) * (HEIGHT + GAP) + HEIGHT / 2,
    }));
    return below + Math.ceil(alone.length / across) * (HEIGHT + GAP);
  };
  const portals = [...new Map(tables.map((table) => [table.portal, table.address]))];
  const stage = made("g", {}, svg);
  let top = 0;
  portals.forEach(([portal, address]) => {
    if (portals.length > 1) {
      made("text", { class: "portal", x: 0, y: top + 14 }, stage).textContent = address || portal;
      top += 40;
    }
    top = layout(portal, top) + 60;
  });

  // --- drawing -------------------------------------------------------------------------------------------------------
  const marker = made("marker", { id: "head", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" }, made("defs", {}, svg));
  made("path", { d: "M0 0 8 4 0 8z", class: "head" }, marker);
  const curve = ([start, ...rest]) => rest.reduce((path, { x, y }, number) => {
    const before = number ? rest[number - 1] : start;
    return `${path}C${(before.x + x) / 2} ${before.y} ${(before.x + x) / 2} ${y} ${x} ${y}`;
  }, `M${start.x} ${start.y}`);
  // Within a column a line goes round by the right.
  const bow = (from, to) => {
    const [a, b] = [from, to].map((name) => places.get(name));
    const far = 24 + Math.min(60, Math.abs(a.y - b.y) / 6);
    const [x, lower] = [a.x + WIDTH / 2, Math.sign(b.y - a.y) * 8];
    return `M${x} ${a.y + lower}C${x + far} ${a.y + lower} ${b.x + WIDTH / 2 + far} ${b.y - lower} ${b.x + WIDTH / 2} ${b.y - lower}`;
  };
  const loop = ({ x, y }) => `M${x + WIDTH / 2 - 30} ${y - HEIGHT / 2}c0 -26 52 -26 30 30`;
  drawn.forEach((line) => {
    const d = line.from === line.to ? loop(places.get(line.from)) : line.points.length ? curve(line.points) : bow(line.from, line.to);
    line.element = made("g", { class: `line${line.count ? "" : " describes"}` }, stage);
    made("path", { d, class: "seen", "marker-end": "url(#head)" }, line.element);
    made("path", { d, class: "hit" }, line.element);
    made("title", {}, line.element).textContent = filled(svg.dataset.line, { ...line, columns: line.columns.join(", ") || "–" });
    line.element.addEventListener("click", () => { if (!moved) choose({ from: line.from, to: line.to }); });
  });
  const boxes = new Map();
  tables.forEach((table) => {
    const { x, y } = places.get(table.name);
    const count = (end) => drawn.filter((line) => line[end] === table.name).length;
    const box = made("g", { class: "box", transform: `translate(${x - WIDTH / 2} ${y - HEIGHT / 2})`, role: "button", tabindex: -1, "data-table": table.name, "data-group": table.group, "aria-pressed": "false" }, stage);
    // What it is called for those who do not see it, and the tip for those who do.
    made("title", {}, box).textContent = `${filled(svg.dataset.refers, { table: table.title, to: count("from"), from: count("to") })}\n${table.name}\n${table.about}`;
    made("rect", { class: "body", width: WIDTH, height: HEIGHT, rx: 6 }, box);
    made("rect", { class: "stripe", x: 1, y: 6, width: 4, height: HEIGHT - 12, rx: 2 }, box);
    made("text", { x: 14, y: 19 }, box).textContent = short(table.title, 23);
    made("text", { class: "about", x: 14, y: 36 }, box).textContent = short(table.about || table.name, 29);
    box.addEventListener("click", () => { if (!moved) choose({ table: table.name }); });
    box.addEventListener("focus", () => seen(table.name));
    boxes.set(table.name, box);
  });

  // --- choosing ------------------------------------------------------------------------------------------------------
  const light = ({ table, from, to }) => {
    const near = new Set([from, to].filter(Boolean));
    drawn.forEach((line) => {
      const beside = Boolean(table) && (line.from === table || line.to === table);
      if (beside) [line.from, line.to].forEach((name) => near.add(name));
      line.element.classList.toggle("near", beside);
      line.element.classList.toggle("chosen", line.from === from && line.to === to);
    });
    boxes.forEach((box, name) => {
      box.classList.toggle("near", near.has(name));
      box.classList.toggle("chosen", name === table);
      box.setAttribute("aria-pressed", String(name === table));
    });
    svg.classList.toggle("focussed", Boolean(table || from));
    if (table && boxes.has(table)) step(table);
  };
  const choose = (what, focus = false) => {
    const query = new URLSearchParams(what);
    const here = new URLSearchParams(new FormData(document.getElementById("filter")));
    history.replaceState(null, "", `?${new URLSearchParams([...here, ...query])}`);
    light(what);
    htmx.ajax("GET", `/catalog/model/part?${query}`, { target: "#part", swap: "innerHTML" }).then(() => {
      part.scrollTop = 0;
      if (focus) part.focus();
    });
  };
  // One stop for the Tab key; arrows lead from there to the nearest table on that side.
  const step = (name) => boxes.forEach((box, each) => box.setAttribute("tabindex", each === name ? 0 : -1));
  const beside = (name, across, down) => {
    const { x, y } = places.get(name);
    const far = ([, place]) => {
      const [along, aside] = across ? [(place.x - x) * across, place.y - y] : [(place.y - y) * down, place.x - x];
      return along <= 1 ? Infinity : along + 2 * Math.abs(aside);
    };
    const nearest = [...places].reduce((best, each) => (far(each) < far(best) ? each : best));
    return far(nearest) === Infinity ? name : nearest[0];
  };

  // --- looking -------------------------------------------------------------------------------------------------------
  const view = { x: 0, y: 0, scale: 1 };
  const show = () => stage.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  const zoom = (by, at = { x: svg.clientWidth / 2, y: svg.clientHeight / 2 }) => {
    const scale = Math.min(3, Math.max(0.1, view.scale * by));
    view.x = at.x - ((at.x - view.x) * scale) / view.scale;
    view.y = at.y - ((at.y - view.y) * scale) / view.scale;
    view.scale = scale;
    show();
  };
  const fit = () => {
    const size = stage.getBBox();
    const scale = Math.min(1.25, (svg.clientWidth - 32) / size.width, (svg.clientHeight - 32) / size.height);
    Object.assign(view, { scale, x: (svg.clientWidth - size.width * scale) / 2 - size.x * scale, y: (svg.clientHeight - size.height * scale) / 2 - size.y * scale });
    show();
  };
  const centre = (name) => {
    const { x, y } = places.get(name);
    view.scale = Math.max(view.scale, 0.8);
    Object.assign(view, { x: svg.clientWidth / 2 - x * view.scale, y: svg.clientHeight / 2 - y * view.scale });
    show();
  };
  const seen = (name) => {
    const { x, y } = places.get(name);
    const [across, down] = [x * view.scale + view.x, y * view.scale + view.y];
    const [wide, high] = [(WIDTH / 2) * view.scale, (HEIGHT / 2) * view.scale];
    if (across < wide || down < high || across > svg.clientWidth - wide || down > svg.clientHeight - high) centre(name);
  };
  const tools = { in: () => zoom(1.25), out: () => zoom(0.8), fit };
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", tools[button.dataset.zoom]));
  svg.addEventListener("keydown", (event) => {
    const name = event.target.dataset?.table;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const keys = { "+": tools.in, "=": tools.in, "-": tools.out, 0: fit };
    if (ways[event.key] && name) boxes.get(beside(name, ...ways[event.key])).focus({ preventScroll: true });
    else if (keys[event.key] && !event.ctrlKey && !event.metaKey) keys[event.key]();
    else if ((event.key === "Enter" || event.key === " ") && name) choose({ table: name }, true);
    else return;
    event.preventDefault();
  });
  svg.addEventListener("focusin", (event) => { if (event.target.dataset?.table) step(event.target.dataset.table); });
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), { x: event.clientX - box.x, y: event.clientY - box.y });
  }, { passive: false });
  // Dragging with one pointer, pinching with two.
  const pointers = new Map();
  let moved = false;
  const reach = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  svg.addEventListener("pointerdown", (event) => {
    if (!pointers.size) moved = false;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  window.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const [x, y] = [event.clientX - before.x, event.clientY - before.y];
    if (!moved && Math.hypot(x, y) < 4) return;
    moved = true;
    svg.classList.add("dragged");
    const wide = pointers.size === 2 ? reach() : 0;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.size === 2) {
      const box = svg.getBoundingClientRect();
      const [a, b] = [...pointers.values()];
      zoom(reach() / wide, { x: (a.x + b.x) / 2 - box.x, y: (a.y + b.y) / 2 - box.y });
    } else Object.assign(view, { x: view.x + x, y: view.y + y });
    show();
  });
  ["pointerup", "pointercancel"].forEach((name) => window.addEventListener(name, (event) => {
    pointers.delete(event.pointerId);
    svg.classList.remove("dragged");
  }));

  // --- the rest of the page ------------------------------------------------------------------------------------------
  document.getElementById("filter").addEventListener("change", (event) => { if (event.target.name) event.currentTarget.submit(); });
  document.getElementById("filter").addEventListener("submit", (event) => { event.preventDefault(); find(); });
  const field = document.getElementById("find");
  const find = () => {
    const words = field.value.trim().toLowerCase();
    const fitting = (table) => [table.name, table.title, table.about].some((text) => text.toLowerCase().includes(words));
    const found = words && (tables.find((table) => [table.name, table.title].some((text) => text.toLowerCase() === words)) || tables.find(fitting));
    if (!found) return;
    choose({ table: found.name });
    centre(found.name);
  };
  field.addEventListener("change", find);
  // Links to tables and joins, beside the diagram and in the list below it.
  document.getElementById("content").addEventListener("click", (event) => {
    const link = event.target.closest("a[data-table], a[data-from]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const { table, from, to } = link.dataset;
    const there = table ? [table] : [from, to];
    if (!there.every((name) => boxes.has(name))) return;
    event.preventDefault();
    choose(table ? { table } : { from, to }, true);
    there.forEach(seen);
    if (!part.contains(link)) part.scrollIntoView({ block: "nearest" });
  });
  const query = new URLSearchParams(location.search);
  const chosen = Object.fromEntries(["table", "from", "to"].filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
  step(tables[0].name);
  light(chosen);
  // All of it, but on a small screen the table that was asked for, so that it can be read.
  new ResizeObserver(() => {
    fit();
    if (view.scale < 0.4 && places.has(chosen.table)) centre(chosen.table);
  }).observe(svg);
});
