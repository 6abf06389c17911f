"use strict";
// Values under the pointer. A curve's path has all that is needed; ticks say what its places mean.
const axis = (words, log) => {
  const [a, x, b, y] = words.split(" ").map(Number);
  const [from, to] = log ? [Math.log10(x), Math.log10(y)] : [x, y];
  return at => {
    const value = from + (to - from) * (at - a) / (b - a);
    return log ? 10 ** value : value;
  };
};
for (const figure of document.querySelectorAll("figure.curves")) {
  const plot = figure.querySelector("svg[role=img]"), said = figure.querySelector(".readout");
  const cursor = figure.querySelector(".cursor");
  const step = axis(figure.dataset.x, false), value = axis(figure.dataset.y, "log" in figure.dataset);
  const curves = [...figure.querySelectorAll(".curve")].map(path => ({
    path, name: path.textContent, points:
      [...path.getAttribute("d").matchAll(/[ML]([\d.e+-]+) ([\d.e+-]+)/g)].map(p => [+p[1], 100 - p[2]]),
  }));
  const hide = () => { said.hidden = true; cursor.setAttribute("d", ""); };
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("pointermove", event => {
    const box = plot.getBoundingClientRect(), x = 100 * (event.clientX - box.left) / box.width;
    const shown = curves.filter(c => c.points.length && getComputedStyle(c.path).display !== "none");
    const near = shown.map(c => c.points.reduce((p, q) => Math.abs(q[0] - x) < Math.abs(p[0] - x) ? q : p));
    if (!near.length) return hide();
    const at = near.reduce((p, q) => Math.abs(q[0] - x) < Math.abs(p[0] - x) ? q : p)[0];
    cursor.setAttribute("d", `M${at} 0V100`);
    said.textContent = `Step ${Math.round(step(at))}: ` +
      shown.map((c, i) => `${c.name} ${value(near[i][1]).toPrecision(3)}`).join(", ");
    said.hidden = false;
  });
}
// A page that is written anew as its run goes on is loaded anew, with its boxes as they were.
const follow = document.querySelector("#follow");
if (follow) {
  const boxes = [...document.querySelectorAll("input[type=checkbox]")];
  const store = { get: () => null, set: () => {} };
  try {
    store.set = text => sessionStorage.setItem("kivfm", text);
    store.get = () => sessionStorage.getItem("kivfm");
    const off = JSON.parse(store.get() || "[]");
    for (const [i, box] of boxes.entries()) box.checked = !off.includes(i);
  } catch { /* a browser that stores nothing for files */ }
  follow.closest("p").hidden = false;
  setInterval(() => {
    try { store.set(JSON.stringify(boxes.flatMap((box, i) => box.checked ? [] : [i]))); } catch { /* as above */ }
    if (follow.checked && !document.hidden) location.reload();
  }, 1000 * follow.dataset.seconds);
}
