// Charts of a source or table: what each run brought as bars; what there was at any time as a line, with steps where told.
document.addEventListener("DOMContentLoaded", () => {
  const held = document.getElementById("charts");
  if (!held) return;
  const told = JSON.parse(held.textContent);
  // As the browser resolves it: a canvas knows no variables.
  const look = (name) => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(${name})`;
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };
  const language = document.documentElement.lang;
  const clock = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const short = new Intl.DateTimeFormat(language, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const number = new Intl.NumberFormat(language, { maximumSignificantDigits: 3, notation: "compact" });
  const exact = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const drawn = new Map();

  // Runs stand side by side at even distances: several of one minute would hide each other on a scale of time.
  const bars = (box, values) => {
    const places = told.at.map((_, place) => place);
    const good = values.map((value, place) => (told.bad[place] ? null : value));
    const bad = values.map((value, place) => (told.bad[place] ? value : null));
    const drawBars = uPlot.paths.bars({ size: [0.7, 28] });
    const series = (colour) => ({ label: box.dataset.unit, fill: colour, stroke: colour, paths: drawBars, points: { show: false }, value: (_, value) => (value == null ? "" : exact.format(value)) });
    return {
      data: [places, good, bad],
      options: {
        scales: { x: { time: false, range: [-0.5, Math.max(places.length, 10) - 0.5] }, y: { range: (_, low, high) => [0, high || 1] } },
        series: [{ label: box.dataset.when, value: (_, place) => (place == null ? "" : clock.format(told.at[place] * 1000)) }, series(look("--tblr-primary")), series(look("--tblr-red"))],
        x: { values: (_, splits) => splits.map((place) => (told.at[place] && Number.isInteger(place) ? short.format(told.at[place] * 1000) : "")), space: 110 },
      },
    };
  };
  const line = (box, [at, values]) => ({
    data: [at, values],
    options: {
      scales: { y: { range: (_, low, high) => [0, high || 1] } },
      series: [{ label: box.dataset.when, value: (_, time) => (time == null ? "" : clock.format(time * 1000)) }, { label: box.dataset.unit, stroke: look("--tblr-primary"), fill: look("--tblr-primary-lt"), width: 2, points: { show: false }, ...(box.dataset.steps == null ? {} : { paths: uPlot.paths.stepped({ align: 1 }) }), value: (_, value) => (value == null ? "" : exact.format(value)) }],
      x: { values: (_, splits) => splits.map((time) => short.format(time * 1000)), space: 110 },
    },
  });

  const draw = (box) => {
    drawn.get(box)?.destroy();
    const { data, options } = Array.isArray(told[box.dataset.chart][0]) ? line(box, told[box.dataset.chart]) : bars(box, told[box.dataset.chart]);
    const axis = { stroke: look("--tblr-body-color"), grid: { stroke: look("--tblr-border-color"), width: 1 }, ticks: { show: false } };
    const plot = new uPlot({
      width: box.clientWidth,
      height: box.clientHeight,
      padding: [8, 40, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false },
      scales: options.scales,
      series: options.series,
      axes: [{ ...axis, ...options.x, size: 28, grid: { show: false } }, { ...axis, size: 56, values: (_, splits) => splits.map((value) => number.format(value)) }],
      hooks: {
        setCursor: [(shown) => {
          const place = shown.cursor.idx;
          const found = shown.data.slice(1).map((values) => values[place]).find((value) => value != null);
          const when = options.series[0].value(shown, shown.data[0][place]);
          box.title = found == null ? "" : `${when}: ${exact.format(found)} ${box.dataset.unit}`;
        }],
      },
    }, data, box);
    drawn.set(box, plot);
  };
  const boxes = [...document.querySelectorAll("[data-chart]")];
  boxes.forEach(draw);
  const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => {
    const plot = drawn.get(target);
    if (plot && plot.width !== target.clientWidth && target.clientWidth) plot.setSize({ width: target.clientWidth, height: target.clientHeight });
  }));
  boxes.forEach((box) => sizes.observe(box));
  new MutationObserver(() => boxes.forEach(draw)).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
});
