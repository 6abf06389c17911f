// The page of `kivfm play`. The server remembers nothing: every question takes the image with it.

const at = (id) => document.getElementById(id);
const make = (tag, more = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), more);
  node.append(...children);
  return node;
};

let model; // what /model says
// What is looked at: a file or the number of a sample, and what was given for it.
const now = { file: null, sample: null, points: [], box: null, cross: null, corner: null };
const cells = new Map(); // `who task teacher` -> the cell that shows it; who is "" for the model
const columns = []; // {who, tasks}: the model, then each of its teachers that is here
const wanted = new Map(); // what is to be asked next: column -> set of tasks
let asking = null; // the question that is under way
const colored = new Set(); // whose features of the image are shown
let image = 0; // counts images, so that answers about an earlier one are dropped

// Asking

function query(more = {}) {
  const words = new URLSearchParams();
  if (now.sample !== null) words.set("sample", now.sample);
  for (const [key, value] of Object.entries(more)) {
    for (const one of [value].flat()) words.append(key, one);
  }
  return words;
}

async function post(path, more, signal) {
  let answer;
  const body = now.file;
  try {
    answer = await fetch(`${path}?${query(more)}`, { method: "POST", body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("no answer: is kivfm play still running, and the file still there?");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Error(said.error || `the server answered ${answer.status}`);
}

function given() {
  const words = { threshold: at("threshold").value };
  words.label = labels();
  if (!pointed()) return words;
  words.point = now.points.map((p) => [share(p.x), share(p.y), p.positive].join(","));
  if (now.box) words.box = now.box.map(share).join(",");
  return words;
}

const share = (value) => Number(value.toFixed(5));
const labels = () => [...new Set(at("labels").value.split(",").map((word) => word.trim()).filter(Boolean))];
const pointed = () => now.points.some((p) => p.positive) || Boolean(now.box);
const compares = () => at("compare").checked;

function ready(task) {
  return task.needs.every((flag) => (flag === "labels" ? labels().length > 0 : pointed()));
}

// Asks all columns about some tasks, as soon as what is under way is answered.
function ask(choose = () => true) {
  if (now.file === null && now.sample === null) return;
  const tasks = model.tasks.filter((task) => choose(task));
  for (const task of tasks) if (!ready(task)) empty(task);
  const names = tasks.filter(ready).map((task) => task.name);
  for (const column of columns) {
    if (column.who !== "" && !compares()) continue;
    const own = names.filter((name) => column.tasks.includes(name));
    if (!own.length) continue;
    wanted.set(column, new Set([...(wanted.get(column) || []), ...own]));
    for (const name of own) busy(column, name, true);
  }
  if (!asking) answerAll();
}

async function answerAll() {
  asking = new AbortController();
  const seen = image;
  const took = [];
  for (const column of columns) {
    if (!wanted.has(column)) continue;
    const known = new Set(model.tasks.filter(ready).map((task) => task.name));
    const names = [...wanted.get(column)].filter((name) => known.has(name));
    wanted.delete(column);
    if (!names.length) continue;
    const who = column.who === "" ? {} : { teacher: column.who };
    const name = column.who === "" ? "the model" : model.teachers[column.who].name;
    at("status").textContent = `Waiting for ${name}.`;
    try {
      const answer = await post("predict", { ...given(), ...who, task: names }, asking.signal);
      const found = await answer.json();
      if (seen !== image) break;
      for (const one of found.results) show(column, one);
      took.push(`${name} ${found.seconds.toFixed(2)} s`);
    } catch (error) {
      if (seen !== image) break;
      for (const task of names) fail(column, task, error.message);
    }
    for (const task of names) busy(column, task, wanted.get(column)?.has(task) ?? false);
  }
  if (!wanted.size && at("features").checked) await color(seen);
  asking = null;
  if (wanted.size) return answerAll();
  if (seen !== image) return;
  if (took.length) at("status").textContent = `Took: ${took.join(", ")}.`;
}

// The features of the image as colors: the model's own, then each teacher's beside its stand-in's.
async function color(seen) {
  const places = [...(model.student && model.dense ? [null] : []), ...model.teachers.keys()];
  for (const place of places) {
    const name = place === null ? "own" : model.teachers[place].name;
    const own = cells.get(key("", "features", name));
    if (!own || colored.has(name)) continue;
    if (wanted.size || !at("features").checked) return; // these are asked first
    const others = [own, cells.get(key(place, "features", name))];
    at("status").textContent = `Waiting for features${place === null ? "" : ` of ${name}`}.`;
    try {
      const answer = await post("features", place === null ? {} : { teacher: place }, asking.signal);
      const found = await answer.json();
      if (seen !== image) return;
      colored.add(name);
      for (const [index, one] of found.results.entries()) if (others[index]) fill(others[index], "features", one);
    } catch (error) {
      if (seen !== image) return;
      colored.add(name);
      say(own, error.message, true);
    }
  }
  at("status").textContent = "";
}

// Showing

const key = (who, task, teacher) => [who, task, teacher].join(" ");

function* cellsOf(column, task) {
  for (const [place, teacher] of model.teachers.entries()) {
    if (column.who !== "" && column.who !== place) continue;
    const cell = cells.get(key(column.who, task, teacher.name));
    if (cell) yield cell;
  }
}

function busy(column, task, is) {
  for (const cell of cellsOf(column, task)) cell.setAttribute("aria-busy", is);
}

function show(column, found) {
  const cell = cells.get(key(column.who, found.task, found.teacher));
  if (!cell) return;
  if (column.who === "" && pointed() && cell.dataset.pointed) {
    at("over").src = found.drawing; // the answer where one clicks
    at("over").hidden = false;
  }
  fill(cell, found.task, found);
}

function fill(cell, task, found) {
  const first = found.lines.slice(0, 5).map((line) => line.trim()).join("; ");
  const alt = `${task}, ${cell.dataset.title}: ${first}`;
  const open = cell.querySelector("details")?.open || false;
  cell.querySelector(".body").replaceChildren(
    drawing(found.drawing, alt),
    make("details", { open },
      make("summary", { textContent: summary(found.lines) }),
      make("pre", { textContent: found.lines.join("\n"), tabIndex: 0 })),
  );
}

function summary(lines) {
  if (lines.length === 1) return lines[0].trim();
  return `${lines[0].trim()}, and ${lines.length - 1} more`;
}

function drawing(url, alt) {
  const button = make("button", { type: "button", className: "drawing" }, make("img", { src: url, alt }));
  button.addEventListener("click", () => {
    at("large-drawing").src = url;
    at("large-drawing").alt = alt;
    at("large").showModal();
  });
  return button;
}

function say(cell, sentence, bad = false) {
  const hint = make("p", { className: bad ? "hint bad" : "hint", textContent: sentence });
  cell.querySelector(".body").replaceChildren(hint);
}

function fail(column, task, sentence) {
  for (const cell of cellsOf(column, task)) say(cell, sentence, true);
}

const WANTS = { labels: "Type classes to tell apart.", points: "Click on the image.", prompts: "Click on the image, or draw a box." };

function empty(task) {
  for (const column of columns) {
    wanted.get(column)?.delete(task.name);
    for (const cell of cellsOf(column, task.name)) {
      say(cell, task.needs.map((flag) => WANTS[flag]).join(" "));
      cell.setAttribute("aria-busy", false);
    }
  }
}

function complain(sentence) {
  at("error").textContent = sentence || "";
  at("error").hidden = !sentence;
}

// Choosing an image

async function take(chosen) {
  if (chosen.file && chosen.file.size > model.limits.bytes) {
    const most = Math.floor(model.limits.bytes / 2 ** 20);
    return complain(`the file is too large: at most ${most} MiB are taken`);
  }
  image += 1;
  const mine = image;
  asking?.abort();
  wanted.clear();
  colored.clear();
  Object.assign(now, { file: null, sample: null, points: [], box: null, cross: null, corner: null }, chosen);
  complain("");
  at("status").textContent = "Reading the image.";
  try {
    const answer = await post("image", {});
    const content = await answer.blob();
    if (mine !== image) return;
    URL.revokeObjectURL(at("shown").src);
    at("shown").src = URL.createObjectURL(content);
    await at("shown").decode();
    const { naturalWidth: width, naturalHeight: height } = at("shown");
    at("stage").style.width = `min(100%, ${(42 * width) / height}vh)`;
  } catch (error) {
    if (mine !== image) return;
    Object.assign(now, { file: null, sample: null });
    at("stage-part").hidden = at("settings").hidden = true;
    at("tasks").hidden = true;
    at("invite").hidden = false;
    at("status").textContent = "";
    press();
    return complain(error.message);
  }
  const name = chosen.file ? chosen.file.name || "the image that was pasted" : model.samples[chosen.sample];
  at("shown").alt = `The image: ${name}`;
  at("caption").textContent = `${name}, ${at("shown").naturalWidth} x ${at("shown").naturalHeight} pixels as the model gets it`;
  at("stage-part").hidden = at("settings").hidden = at("tasks").hidden = false;
  at("invite").hidden = true;
  at("status").textContent = "";
  press();
  drawMarks();
  ask();
  if (!asking) answerAll(); // no task, but features
}

function press() {
  for (const [index, button] of [...at("samples").children].entries()) {
    button.setAttribute("aria-pressed", index === now.sample);
  }
}

// Pointing

const tool = () => document.querySelector("input[name=tool]:checked").value;
const inside = (value) => Math.min(1, Math.max(0, value));

function place(event) {
  const area = at("shown").getBoundingClientRect();
  return { x: inside((event.clientX - area.left) / area.width), y: inside((event.clientY - area.top) / area.height) };
}

function point(where, positive) {
  now.points.push({ ...where, positive });
  changed(positive ? "A click on what is meant." : "A click on what is not meant.");
}

function corners(a, b) {
  const box = [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)];
  now.corner = null;
  if (box[2] - box[0] < 0.005 || box[3] - box[1] < 0.005) return drawMarks();
  now.box = box;
  changed("A box.");
}

function changed(words) {
  at("caption").textContent = words;
  drawMarks();
  ask((task) => task.needs.some((flag) => flag !== "labels"));
}

function undo() {
  if (now.corner) now.corner = null;
  else if (now.points.length) now.points.pop();
  else now.box = null;
  changed("Undone.");
}

function drawMarks(frame = now.box) {
  const put = (node, x, y) => {
    node.style.left = `${100 * x}%`;
    node.style.top = `${100 * y}%`;
    return node;
  };
  const marks = now.points.map((p) =>
    put(make("span", { className: p.positive ? "mark" : "mark out", textContent: p.positive ? "+" : "−" }), p.x, p.y));
  if (frame) {
    const node = put(make("span", { className: "frame" }), frame[0], frame[1]);
    node.style.width = `${100 * (frame[2] - frame[0])}%`;
    node.style.height = `${100 * (frame[3] - frame[1])}%`;
    marks.push(node);
  }
  if (now.cross) marks.push(put(make("span", { className: "cross" }), now.cross.x, now.cross.y));
  at("marks").replaceChildren(...marks);
  if (!pointed()) at("over").hidden = true;
  const none = !now.points.length && !now.box && !now.corner;
  at("undo").disabled = at("clear").disabled = none;
}

function listenToPointer() {
  const stage = at("stage");
  const span = (a, b) => [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)];
  let start = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    now.cross = null;
    if (tool() === "box") {
      event.preventDefault();
      start = place(event);
      stage.setPointerCapture(event.pointerId);
    }
  });
  stage.addEventListener("pointermove", (event) => start && drawMarks(span(start, place(event))));
  stage.addEventListener("pointerup", (event) => {
    if (start) corners(start, place(event));
    start = null;
  });
  stage.addEventListener("pointercancel", () => { start = null; drawMarks(); });
  stage.addEventListener("click", (event) => {
    if (tool() !== "box") point(place(event), Number(tool()));
  });
}

function listenToKeys() {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  at("stage").addEventListener("keydown", (event) => {
    if (event.key === "Backspace") { event.preventDefault(); return undo(); }
    const step = steps[event.key];
    if (!step && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    const from = now.cross || { x: 0.5, y: 0.5 };
    if (step) {
      const far = event.shiftKey ? 0.1 : 0.02;
      now.cross = { x: inside(from.x + far * step[0]), y: inside(from.y + far * step[1]) };
      at("caption").textContent = `The cross is at ${Math.round(100 * now.cross.x)} % from the left, ${Math.round(100 * now.cross.y)} % from the top.`;
      const reach = now.corner && [Math.min(now.corner.x, now.cross.x), Math.min(now.corner.y, now.cross.y), Math.max(now.corner.x, now.cross.x), Math.max(now.corner.y, now.cross.y)];
      return drawMarks(reach || now.box);
    }
    now.cross = from;
    if (tool() !== "box") return point({ ...from }, Number(tool()));
    if (now.corner) return corners(now.corner, from);
    now.corner = { ...from };
    at("caption").textContent = "One corner of a box. Move the cross, and press Enter again.";
    drawMarks();
  });
  at("stage").addEventListener("focus", () => {
    if (!at("stage").matches(":focus-visible")) return;
    now.cross ||= { x: 0.5, y: 0.5 };
    drawMarks();
  });
  at("stage").addEventListener("blur", () => { now.cross = null; drawMarks(); });
}

// Building the page

function article(task) {
  const pairs = model.teachers.filter((teacher) => teacher.tasks.includes(task.name)).map((teacher) => {
    const place = model.teachers.indexOf(teacher);
    const own = model.student ? `the stand-in for ${teacher.name}` : teacher.name;
    const pair = make("div", { className: "pair" }, figure("", task.name, teacher.name, own));
    if (model.student) {
      const beside = figure(place, task.name, teacher.name, `${teacher.name} itself`);
      if (teacher.absent) say(beside, `${teacher.name} is not here: ${teacher.absent}.`);
      pair.append(beside);
    }
    return pair;
  });
  const name = task.name.replaceAll("-", " ");
  const title = make("h3", { textContent: name[0].toUpperCase() + name.slice(1), id: `task-${task.name}` });
  const node = make("section", { className: "task" }, title, make("p", { className: "soft small", textContent: task.summary }), ...pairs);
  node.setAttribute("aria-labelledby", title.id);
  node.dataset.task = task.name;
  return node;
}

function featuresArticle() {
  const pairs = [];
  if (model.student && model.dense) {
    pairs.push(make("div", { className: "pair" }, figure("", "features", "own", "the student's own")));
  }
  for (const [place, teacher] of model.teachers.entries()) {
    if (!teacher.dense) continue;
    const pair = make("div", { className: "pair" }, figure("", "features", teacher.name, model.student ? `the stand-in for ${teacher.name}` : teacher.name));
    if (model.student) {
      const beside = figure(place, "features", teacher.name, `${teacher.name} itself`);
      if (teacher.absent) say(beside, `${teacher.name} is not here: ${teacher.absent}.`);
      pair.append(beside);
    }
    pairs.push(pair);
  }
  const words = "Cells of like color have like features. A teacher and its stand-in are colored by one projection, so that colors can be compared.";
  const title = make("h3", { textContent: "Features", id: "task-features" });
  const node = make("section", { className: "task", id: "features-part", hidden: true }, title, make("p", { className: "soft small", textContent: words }), make("div", { className: "many" }, ...pairs));
  node.setAttribute("aria-labelledby", title.id);
  node.dataset.task = "features";
  return node;
}

function figure(who, task, teacher, title) {
  const node = make("figure", {}, make("figcaption", { textContent: title }), make("div", { className: "body" }));
  node.dataset.title = title;
  node.dataset.who = who === "" ? "model" : "teacher";
  if (model.tasks.find((one) => one.name === task)?.needs.includes("prompts")) node.dataset.pointed = "yes";
  cells.set(key(who, task, teacher), node);
  return node;
}

function soon(work, wait) {
  let timer;
  return () => { clearTimeout(timer); timer = setTimeout(work, wait); };
}

function listen() {
  at("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) take({ file });
    event.target.value = ""; // so that the same one can be chosen again
  });
  addEventListener("dragover", (event) => { event.preventDefault(); at("drop").classList.add("over"); });
  addEventListener("dragleave", () => at("drop").classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    at("drop").classList.remove("over");
    if (event.dataTransfer.files.length) take({ file: event.dataTransfer.files[0] });
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take({ file: event.clipboardData.files[0] });
  });
  at("undo").addEventListener("click", undo);
  at("clear").addEventListener("click", () => {
    Object.assign(now, { points: [], box: null, corner: null });
    changed("Cleared.");
  });
  const named = (task) => task.needs.includes("labels");
  at("labels").addEventListener("input", soon(() => ask(named), 500));
  const scored = soon(() => ask((task) => task.kind === "objects"), 150);
  at("threshold").addEventListener("input", () => {
    at("threshold-value").textContent = Number(at("threshold").value).toFixed(2);
    scored();
  });
  at("features").addEventListener("change", () => {
    at("features-part").hidden = !at("features").checked;
    if (!asking && (now.file !== null || now.sample !== null)) answerAll();
  });
  for (const one of document.querySelectorAll("input[name=tool]")) {
    one.addEventListener("change", () => at("stage").classList.toggle("boxing", tool() === "box"));
  }
  at("compare").addEventListener("change", () => {
    document.body.classList.toggle("alone", !compares());
    for (const [name, cell] of cells) if (!name.startsWith(" ")) cell.hidden = !compares();
    if (compares()) ask();
  });
}

function build() {
  document.title = `${model.name}: kivfm play`;
  at("name").textContent = model.name;
  const names = model.teachers.map((teacher) => teacher.name);
  at("who").textContent = model.student
    ? `One student that stands in for ${names.join(", ")}.`
    : `A teacher, without any student.`;
  columns.push({ who: "", tasks: model.tasks.map((task) => task.name) });
  for (const [who, teacher] of model.teachers.entries()) {
    if (model.student && !teacher.absent && teacher.tasks.length) columns.push({ who, tasks: teacher.tasks });
  }
  at("tasks").hidden = true;
  at("tasks").append(...model.tasks.map(article), featuresArticle());
  at("coloring").hidden = !(model.dense || model.teachers.some((teacher) => teacher.dense));
  const flags = model.tasks.flatMap((task) => task.needs);
  at("naming").hidden = !flags.includes("labels");
  at("limiting").hidden = !model.tasks.some((task) => task.kind === "objects");
  at("comparing").hidden = columns.length < 2;
  if (flags.some((flag) => flag !== "labels")) {
    at("pointing").hidden = false;
    const stage = at("stage");
    stage.classList.add("points");
    stage.tabIndex = 0;
    stage.setAttribute("role", "application");
    stage.setAttribute("aria-label", "The image, to point at");
    stage.setAttribute("aria-describedby", "keys caption");
    listenToPointer();
    listenToKeys();
  }
  if (!model.tasks.length) {
    at("features").checked = true; // there is nothing else
    at("features-part").hidden = false;
  }
  at("samples").hidden = !model.samples.length;
  for (const [sample, name] of model.samples.entries()) {
    const small = make("img", { src: `samples/${sample}`, alt: name, loading: "lazy" });
    const button = make("button", { type: "button", title: name }, small);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => take({ sample }));
    at("samples").append(button);
  }
  listen();
}

try {
  model = await (await fetch("model")).json();
  if (model.error) throw new Error(model.error);
  build();
} catch (error) {
  complain(`the page cannot begin: ${error.message}`);
}
