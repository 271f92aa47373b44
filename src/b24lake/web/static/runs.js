// Runs while they go on: clocks between two answers, the charts, a log that follows, and a connection that is lost.
(() => {
  const two = (number) => String(number).padStart(2, "0");
  const clock = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds)), minutes = Math.floor(whole / 60);
    const hours = minutes < 60 ? `${minutes}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}`;
    return `${hours}:${two(whole % 60)}`;
  };

  // The service's clock may differ from this one's.
  let ahead = 0;
  const compare = () => {
    const told = document.querySelector("[data-now]");
    if (told) ahead = Date.now() / 1000 - Number(told.dataset.now);
  };
  const tick = () => {
    const now = Date.now() / 1000 - ahead;
    for (const one of document.querySelectorAll("[data-since]")) one.textContent = clock(now - Number(one.dataset.since));
    for (const one of document.querySelectorAll("[data-until]")) one.textContent = clock(Number(one.dataset.until) - now);
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--tblr-${name}`).trim();
  const charts = new Map();
  const draw = (id, times, values, limits) => {
    const place = document.getElementById(id);
    if (!place) return;
    const data = [times, values, limits];
    const known = charts.get(place);
    if (known) return void known.setData(data);
    const axis = { stroke: getComputedStyle(place).color, grid: { stroke: "rgba(128, 128, 128, .2)", width: 1 }, ticks: { show: false } };
    const time = (_, seconds) => (seconds == null ? "–" : clock(seconds));
    charts.set(place, new uPlot({
      width: place.clientWidth,
      height: 200,
      scales: { x: { time: false }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.05)] } },
      axes: [{ ...axis, values: (chart, ticks) => ticks.map((at) => clock(at)) }, { ...axis, size: 56 }],
      series: [
        { label: place.dataset.time, value: time },
        { label: place.dataset.name, stroke: colour("primary"), width: 2, points: { show: false }, spanGaps: true },
        { label: place.dataset.limit, stroke: colour("orange"), width: 2, dash: [6, 4], points: { show: false } },
      ],
    }, data, place));
  };
  const show = () => {
    const told = document.getElementById("course");
    if (!told) return;
    const course = JSON.parse(told.textContent);
    const column = (number) => course.points.map((point) => point[number]);
    const times = column(0), threshold = course.threshold;
    draw("chart-requests", times, column(1), times.map((at) => (course.drain ? course.burst + course.drain * at : null)));
    draw("chart-operating", times, column(4), times.map(() => threshold));
  };
  const again = () => {
    for (const [place, chart] of charts) { chart.destroy(); charts.delete(place); }
    show();
  };

  // A log that is read at its end stays at its end.
  let atEnd = true;
  const log = () => document.querySelector(".log");
  const toEnd = () => { const box = log(); if (box && atEnd) box.scrollTop = box.scrollHeight; };
  const look = () => { const box = log(); if (box) atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40; };

  // The next answer that arrives hides it again.
  const lost = () => { for (const one of document.querySelectorAll("[data-lost]")) one.hidden = false; };

  document.addEventListener("DOMContentLoaded", () => { compare(); tick(); show(); toEnd(); });
  document.addEventListener("htmx:before:swap", look);
  document.addEventListener("htmx:after:swap", () => { compare(); tick(); show(); toEnd(); });
  document.addEventListener("htmx:error", lost);
  document.addEventListener("htmx:response:error", (event) => { if (event.detail.ctx.response.status >= 500) lost(); });
  window.addEventListener("theme", again);
  window.addEventListener("resize", again);
  setInterval(tick, 500);
})();
