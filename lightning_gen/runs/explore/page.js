const about = JSON.parse(document.getElementById("about").textContent);
const $ = (id) => document.getElementById(id);
const [channels, height, width] = about.shape;
const { length, free } = about;
const LEVELS = channels * height * width;
const STEPS = 9; // pictures along a walk
const NEAR = 8;
const FIRST = 16; // sliders shown at once

/** What the tests read, in milliseconds: the page is ready; from a slider's event to its picture. */
const timings = (window.timings = { ready: null, slider: [] });

const bytes = async (base64) => (await fetch(`data:application/octet-stream;base64,${base64}`)).arrayBuffer();
const floats = async (base64) => new Float32Array(await bytes(base64));
async function unzipped(base64) {
  const file = new Blob([await bytes(base64)]).stream();
  return new Response(file.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** The model behind the page, on this machine. */
class Served {
  async ask(path, body) {
    const answer = await fetch(path, { method: "POST", body }).catch(() => {
      throw new Error("The explorer does not answer: it has ended. Start it again.");
    });
    const words = answer.headers.get("content-type")?.startsWith("text/");
    if (words || !answer.ok) throw new Error(await answer.text());
    return answer.arrayBuffer();
  }
  async decode(codes, run = 0) {
    return new Uint8Array(await this.ask(`decode?run=${run}`, codes));
  }
  async encode(file, condition) {
    const found = await this.ask(`encode?condition=${condition.join()}`, file);
    return { code: new Float32Array(found, 0, length), pixels: new Uint8Array(found, 4 * length) };
  }
  async draw(temperature) {
    return new Float32Array(await this.ask(`draw?temperature=${temperature}`));
  }
}

/** The model in the page itself: ONNX graphs, one thread. */
class Inside {
  static async start(parts) {
    const graphs = { decode0: Inside.graph("decode0") }; // read while the runtime starts
    const [library, wasm] = await Promise.all([unzipped(parts.library), unzipped(parts.wasm)]);
    const address = URL.createObjectURL(new Blob([library], { type: "text/javascript" }));
    const ort = await import(address);
    Object.assign(ort.env.wasm, { wasmBinary: wasm, numThreads: 1, proxy: false });
    return Object.assign(new Inside(), { ort, parts, graphs, sessions: {}, last: Promise.resolve() });
  }
  /** A graph of the page; the encoder stands at its end, which is still read when this runs. */
  static async graph(name) {
    if (document.readyState === "loading" && !$(name)) await new Promise((next) => addEventListener("DOMContentLoaded", next));
    return new Uint8Array(await unzipped($(name).text));
  }
  async run(name, inputs) {
    if (!this.sessions[name]) {
      const graph = await (this.graphs[name] ?? Inside.graph(name));
      this.sessions[name] = await this.ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
    }
    const session = this.sessions[name];
    const tensors = session.inputNames.map((input, i) => [input, new this.ort.Tensor("float32", ...inputs[i])]);
    const found = await session.run(Object.fromEntries(tensors));
    return found[session.outputNames[0]].data;
  }
  /** One after the other: the runtime has one thread. */
  call(name, inputs) {
    const turn = this.last.then(() => this.run(name, inputs));
    this.last = turn.catch(() => {});
    return turn;
  }
  async decode(codes, run = 0) {
    const values = await this.call(`decode${run}`, [[codes.slice(), [codes.length / length, length]]]);
    return Uint8Array.from(values, (value) => Math.round(255 * Math.min(1, Math.max(0, value))));
  }
  async encode(file, condition) {
    const pixels = await pixelsOf(file);
    const image = Float32Array.from(pixels, (value) => value / 255);
    const inputs = [[image, [1, ...about.shape]], [Float32Array.from(condition), [1, condition.length]]];
    return { code: await this.call("encode0", inputs), pixels };
  }
  async draw(temperature) {
    const drawn = await floats(this.parts.draws[temperature.toFixed(1)]);
    const place = Math.floor((Math.random() * drawn.length) / free);
    return drawn.slice(place * free, (place + 1) * free);
  }
}

/** A file as the model takes it: covering the shape, cropped around its centre, on white. */
async function pixelsOf(file) {
  const image = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name || "This file"} is no picture that the browser reads.`);
  });
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  const scale = Math.max(width / image.width, height / image.height);
  const [w, h] = [image.width * scale, image.height * scale];
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
  const { data } = context.getImageData(0, 0, width, height);
  return Uint8Array.from({ length: LEVELS }, (_, i) => {
    const [channel, at] = [Math.floor(i / (width * height)), 4 * (i % (width * height))];
    if (channels === 3) return data[at + channel];
    return Math.round(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]);
  });
}

/** Draw one of several images [N, C, H, W] of bytes. */
function paint(canvas, pixels, which = 0, left = 0) {
  const image = new ImageData(width, height);
  const plane = width * height;
  const step = channels === 3 ? plane : 0;
  const { data } = image;
  for (let i = 0, at = which * LEVELS; i < plane; i++, at++) {
    data[4 * i] = pixels[at];
    data[4 * i + 1] = pixels[at + step];
    data[4 * i + 2] = pixels[at + 2 * step];
    data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, left, 0);
}

const say = (text) => ($("said").textContent = text);
/** A listener whose failure is a line in the page. */
const telling = (task) => (event) => Promise.resolve(task(event)).catch((error) => say(error.message));

const model = about.inside ? await Inside.start(about.inside) : new Served();
const codes = await floats(about.codes);
const points = await floats(about.map.points);
const origin = await floats(about.sliders.origin);
const axes = await floats(about.sliders.vectors);
const straight = about.map.straight && {
  origin: await floats(about.map.straight.origin),
  vectors: await floats(about.map.straight.vectors),
};
const tiles = Object.assign(new Image(), { src: about.tiles.uri });
await tiles.decode();
const pictures = [...document.querySelectorAll(".pictures figure:not([hidden]) canvas")];
for (const canvas of document.querySelectorAll(".picture, .small")) Object.assign(canvas, { width, height });
Object.assign($("strip"), { width: STEPS * width, height });

let code = codes.slice(0, length);
let pixels = null; // of the first run's picture
let point = [points[0], points[1]]; // where the map's cross is
let began = 0; // the slider's event, which the next picture answers
let busy = false;
let again = false;

/** Decode the code as it is now; while a picture is made, only the latest code waits. */
async function refresh() {
  if (busy) return void (again = true);
  busy = true;
  try {
    do {
      again = false;
      const asked = began;
      began = 0;
      const found = await Promise.all(pictures.map((_, run) => model.decode(code, run)));
      pictures.forEach((canvas, run) => paint(canvas, found[run]));
      if (asked) timings.slider.push(performance.now() - asked);
      pixels = found[0];
      say("");
    } while (again);
    showNearest();
  } catch (error) {
    say(error.message);
  } finally {
    busy = false;
  }
}

/** Go to a code; all that shows it follows. */
function go(next, at = null) {
  code = next.length === length ? Float32Array.from(next) : Float32Array.from([...next, ...code.slice(free)]);
  point = at ?? placeOf(code);
  sliders.forEach((slider) => slider.follow());
  followCondition();
  drawCross();
  return refresh();
}

function dot(a, start, b, from = null) {
  let sum = 0;
  for (let i = 0; i < free; i++) sum += a[start + i] * (from ? b[i] - from[i] : b[i]);
  return sum;
}

/** Squared distances of all codes from one. */
function distances(to) {
  return Float64Array.from({ length: about.count }, (_, n) => {
    let sum = 0;
    for (let i = 0; i < free; i++) sum += (codes[n * length + i] - to[i]) ** 2;
    return sum;
  });
}
const smallest = (values, count) => [...values.keys()].sort((a, b) => values[a] - values[b]).slice(0, count);

function placeOf(of) {
  if (straight) return [0, 1].map((k) => (k * free < straight.vectors.length ? dot(straight.vectors, k * free, of, straight.origin) : 0));
  const [n] = smallest(distances(of), 1);
  return [points[2 * n], points[2 * n + 1]];
}

/** The code of a point of the map: in the plane, or between the codes of the nearest images. */
function codeAt([x, y]) {
  if (straight)
    return Float32Array.from({ length: free }, (_, i) => straight.origin[i] + x * straight.vectors[i] + y * (straight.vectors[free + i] ?? 0));
  const squares = Float64Array.from({ length: about.count }, (_, n) => (points[2 * n] - x) ** 2 + (points[2 * n + 1] - y) ** 2);
  const near = smallest(squares, 4);
  const weights = near.map((n) => 1 / (squares[n] + 1e-9));
  const total = weights.reduce((a, b) => a + b);
  return Float32Array.from({ length: free }, (_, i) => near.reduce((sum, n, k) => sum + (weights[k] / total) * codes[n * length + i], 0));
}

const nameOf = (n) => about.names[about.labels[n]] ?? `image ${n + 1}`;

function tile(canvas, n, x = 0, y = 0, size = null) {
  const { columns, width: w, height: h } = about.tiles;
  const context = canvas.getContext("2d");
  const [row, column] = [Math.floor(n / columns), n % columns];
  context.drawImage(tiles, column * w, row * h, w, h, x, y, size ?? w, size ? (size * h) / w : h);
}

/** Show an image of the map: itself, and what its code decodes to. */
function take(n) {
  original(nameOf(n), (canvas) => {
    canvas.getContext("2d").imageSmoothingEnabled = false;
    tile(canvas, n, 0, 0, width);
  });
  return go(codes.slice(n * length, (n + 1) * length), [points[2 * n], points[2 * n + 1]]);
}

function original(name, draw) {
  $("original-figure").hidden = !about.encodes;
  $("original-name").textContent = `Image: ${name}`;
  draw($("original"));
}

// Sliders

const sliders = about.sliders.names.map((name, j) => {
  const [low, high] = about.sliders.ranges[j];
  const row = document.createElement("label");
  const text = Object.assign(document.createElement("span"), { textContent: name });
  const input = Object.assign(document.createElement("input"), { type: "range", min: low, max: high, step: (high - low) / 200 || 1 });
  const output = document.createElement("output");
  row.append(text, input, output);
  row.hidden = j >= FIRST;
  $("sliders").append(row);
  const value = () => dot(axes, j * free, code, origin);
  const show = (number) => (output.textContent = number.toFixed(2));
  input.addEventListener("input", () => {
    began = performance.now();
    const by = input.valueAsNumber - value();
    for (let i = 0; i < free; i++) code[i] += by * axes[j * free + i];
    show(input.valueAsNumber);
    point = placeOf(code);
    drawCross();
    refresh();
  });
  const follow = () => show((input.valueAsNumber = value()) && value());
  return { follow };
});
$("order").textContent = `${about.sliders.order}.`;
$("more").hidden = sliders.length <= FIRST;
$("more").textContent = `Show all ${sliders.length}`;
$("more").addEventListener("click", () => {
  for (const row of $("sliders").children) row.hidden = false;
  $("more").hidden = true;
});

// The map

const map = $("map");
const layer = document.createElement("canvas"); // the points, under the cross
const only = new Set(); // classes shown alone
const styled = about.names.length > 1 && about.names.length <= about.styles.length;
const edges = [0, 1].map((k) => {
  const values = points.filter((_, i) => i % 2 === k);
  const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  const margin = 0.04 * (high - low) || 1;
  return [low - margin, high + margin];
});
const scaled = (value, k, size) => ((value - edges[k][0]) / (edges[k][1] - edges[k][0])) * size;
const onMap = ([x, y]) => [scaled(x, 0, map.width), map.height - scaled(y, 1, map.height)];
const FORMS = {
  "^": [0, -1.1, 1, 0.8, -1, 0.8], v: [0, 1.1, 1, -0.8, -1, -0.8], D: [0, -1.2, 1.1, 0, 0, 1.2, -1.1, 0],
  s: [-0.9, -0.9, 0.9, -0.9, 0.9, 0.9, -0.9, 0.9],
  P: [-0.4, -1.1, 0.4, -1.1, 0.4, -0.4, 1.1, -0.4, 1.1, 0.4, 0.4, 0.4, 0.4, 1.1, -0.4, 1.1, -0.4, 0.4, -1.1, 0.4, -1.1, -0.4, -0.4, -0.4],
  X: [0, -0.5, 0.6, -1.1, 1.1, -0.6, 0.5, 0, 1.1, 0.6, 0.6, 1.1, 0, 0.5, -0.6, 1.1, -1.1, 0.6, -0.5, 0, -1.1, -0.6, -0.6, -1.1],
};

function mark(context, x, y, radius, [colour, form]) {
  context.beginPath();
  const corners = FORMS[form];
  if (!corners) context.arc(x, y, radius, 0, 7);
  else for (let i = 0; i < corners.length; i += 2) context.lineTo(x + radius * corners[i], y + radius * corners[i + 1]);
  context.closePath();
  context.fillStyle = colour;
  context.fill();
  context.stroke();
}

function drawMap() {
  const ratio = window.devicePixelRatio || 1;
  map.width = layer.width = Math.round(map.clientWidth * ratio);
  map.height = layer.height = Math.round(map.clientHeight * ratio);
  const context = layer.getContext("2d");
  Object.assign(context, { lineWidth: 0.6 * ratio, strokeStyle: "#222222" });
  const size = 26 * ratio;
  const taken = new Set();
  for (let n = 0; n < about.count; n++) {
    const label = about.labels[n];
    if (only.size && !only.has(label)) continue;
    const [x, y] = onMap([points[2 * n], points[2 * n + 1]]);
    if ($("thumbnails").checked) {
      const cell = `${Math.floor(x / size)} ${Math.floor(y / size)}`;
      if (!taken.has(cell)) tile(layer, n, x - size / 2, y - size / 2, size);
      taken.add(cell);
    } else mark(context, x, y, 3.6 * ratio, (styled && about.styles[label]) || ["#0072B2", "o"]);
  }
  drawCross();
}

function drawCross() {
  const context = map.getContext("2d");
  const ratio = window.devicePixelRatio || 1;
  const [x, y] = onMap(point);
  context.clearRect(0, 0, map.width, map.height);
  context.drawImage(layer, 0, 0);
  for (const [colour, radius] of [["#ffffff", 10], ["#000000", 8]]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: 2.5 * ratio });
    context.beginPath();
    context.arc(x, y, radius * ratio, 0, 7);
    context.stroke();
  }
}

const pointOf = (event) => {
  const box = map.getBoundingClientRect();
  const [right, up] = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
  return [right, up].map((share, k) => edges[k][0] + share * (edges[k][1] - edges[k][0]));
};
function decodeAt(at) {
  $("original-figure").hidden = true;
  return go(codeAt(at), at);
}
map.addEventListener("pointerdown", telling((event) => {
  const at = pointOf(event);
  const [x, y] = onMap(at);
  const ratio = window.devicePixelRatio || 1;
  const away = Float64Array.from({ length: about.count }, (_, n) => {
    if (only.size && !only.has(about.labels[n])) return Infinity;
    const [px, py] = onMap([points[2 * n], points[2 * n + 1]]);
    return Math.hypot(px - x, py - y) / ratio;
  });
  const [nearest] = smallest(away, 1);
  map.setPointerCapture(event.pointerId);
  return away[nearest] <= (event.pointerType === "mouse" ? 5 : 10) ? take(nearest) : decodeAt(at);
}));
map.addEventListener("pointermove", telling((event) => event.buttons && decodeAt(pointOf(event))));
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
map.addEventListener("keydown", telling((event) => {
  const step = ARROWS[event.key];
  if (event.key === "Enter") return take(smallest(distances(code), 1)[0]);
  if (!step) return null;
  event.preventDefault();
  const share = event.shiftKey ? 0.1 : 0.02;
  return decodeAt(point.map((value, k) => value + share * step[k] * (edges[k][1] - edges[k][0])));
}));
$("thumbnails").addEventListener("change", drawMap);
$("map-axes").textContent = `${about.map.axes.filter(Boolean).map((name, k) => `${"→↑"[k]} ${name}`).join(", ")}.` +
  (straight ? "" : " Between points: a mean of the nearest four codes.");
for (const [label, name] of styled ? about.names.entries() : []) {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  const swatch = Object.assign(document.createElement("canvas"), { width: 18, height: 18, ariaHidden: "true" });
  mark(Object.assign(swatch.getContext("2d"), { strokeStyle: "#222222", lineWidth: 0.8 }), 9, 9, 5.5, about.styles[label]);
  button.append(swatch, name);
  button.ariaPressed = "false";
  button.addEventListener("click", () => {
    only.delete(label) || only.add(label);
    button.ariaPressed = only.has(label);
    drawMap();
  });
  $("legend").append(button);
}

// Nearest images

const near = Array.from({ length: Math.min(NEAR, about.count) }, () => {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  const canvas = Object.assign(document.createElement("canvas"), { width: about.tiles.width, height: about.tiles.height });
  button.append(canvas);
  button.addEventListener("click", telling(() => take(button.number)));
  $("near").append(button);
  return button;
});
function showNearest() {
  const away = distances(code);
  smallest(away, near.length).forEach((n, k) => {
    const text = `${nameOf(n)}, at a distance of ${Math.sqrt(away[n]).toFixed(2)}`;
    Object.assign(near[k], { number: n, title: text, ariaLabel: text });
    tile(near[k].firstChild, n);
  });
}

// Photographs, draws, conditions

async function encode(file) {
  say("Encoding");
  const found = await model.encode(file, [...code.slice(free)]);
  original(file.name ?? "Photograph", (canvas) => paint(canvas, found.pixels));
  return go(found.code);
}
if (about.encodes) {
  $("photo").addEventListener("change", telling((event) => event.target.files[0] && encode(event.target.files[0])));
  for (const kind of ["dragover", "dragleave", "drop"])
    document.addEventListener(kind, telling((event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", kind === "dragover");
      return kind === "drop" && event.dataTransfer.files[0] && encode(event.dataTransfer.files[0]);
    }));
}

if (about.draws) {
  if (about.inside) Object.assign($("temperature"), { min: 0.4, max: 1, step: 0.3 });
  $("temperature-row").hidden = !about.cools;
  $("temperature").value = 1;
  $("temperature").addEventListener("input", () => ($("temperature-value").textContent = $("temperature").value));
  $("draw").addEventListener("click", telling(async () => {
    const drawn = await model.draw($("temperature").valueAsNumber);
    $("original-figure").hidden = true;
    return go(drawn);
  }));
}

let followCondition = () => {};
if (about.conditions) {
  const { names, one_of: oneOf, vectors } = about.conditions;
  const choose = document.createElement("select");
  const ranges = names.map((name) => {
    const input = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 1, step: 0.05, ariaLabel: name });
    return input;
  });
  const set = (vector) => go([...code.slice(0, free), ...vector], point);
  if (oneOf) {
    names.forEach((name) => choose.append(new Option(name)));
    choose.addEventListener("change", telling(() => set(vectors[choose.selectedIndex])));
    const row = Object.assign(document.createElement("label"), { textContent: "Class " });
    row.append(choose);
    $("conditions").append(row);
  } else
    ranges.forEach((input, k) => {
      const row = Object.assign(document.createElement("label"), { textContent: `${names[k]} ` });
      row.append(input);
      input.addEventListener("input", telling(() => set(ranges.map((each) => each.valueAsNumber))));
      $("conditions").append(row);
    });
  followCondition = () => {
    const vector = code.slice(free);
    if (oneOf) choose.selectedIndex = vector.indexOf(Math.max(...vector));
    else ranges.forEach((input, k) => (input.valueAsNumber = vector[k]));
  };
}

// The walk

const ends = [null, null];
/** A code between the ends: along the great arc where the prior is normal, else straight. */
function between(t) {
  const [a, b] = ends;
  let weights = [1 - t, t];
  const lengths = [Math.sqrt(dot(a, 0, a)), Math.sqrt(dot(b, 0, b))];
  const angle = Math.acos(Math.min(1, Math.max(-1, dot(a, 0, b) / (lengths[0] * lengths[1]))));
  if (about.normal && angle > 1e-3 && angle < Math.PI - 1e-3)
    weights = [Math.sin((1 - t) * angle), Math.sin(t * angle)].map((each) => each / Math.sin(angle));
  return a.map((value, i) => (i < free ? weights[0] * value + weights[1] * b[i] : (1 - t) * value + t * b[i]));
}
function end(which, canvas) {
  ends[which] = code.slice();
  if (pixels) paint(canvas, pixels);
  return ends[0] && ends[1] && showWalk();
}
async function showWalk() {
  const all = new Float32Array(STEPS * length);
  for (let k = 0; k < STEPS; k++) all.set(between(k / (STEPS - 1)), k * length);
  const found = await model.decode(all);
  for (let k = 0; k < STEPS; k++) paint($("strip"), found, k, k * width);
  for (const id of ["way", "play"]) $(id).disabled = false;
}
for (const id of ["way", "play"]) $(id).disabled = true;
$("from").addEventListener("click", telling(() => end(0, $("from-picture"))));
$("to").addEventListener("click", telling(() => end(1, $("to-picture"))));
$("way").addEventListener("input", telling(() => {
  $("original-figure").hidden = true;
  return go(between($("way").valueAsNumber));
}));
$("play").addEventListener("click", telling(async () => {
  $("play").disabled = true;
  for (let t = 0; t <= 1.001; t += 0.025) {
    $("way").value = t;
    await go(between(Math.min(1, t)));
    await new Promise((next) => setTimeout(next, 30));
  }
  $("play").disabled = false;
}));

addEventListener("resize", drawMap);
drawMap();
await take(0);
timings.ready = performance.now();
