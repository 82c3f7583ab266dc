// A recogniser in WebAssembly: what asrdistill/runtime does in Python, by the same functions of core.h.
// It knows nothing of pages and microphones, and runs in any JavaScript engine.
import { extend, pronounce } from "./vocabulary.js";

const PIECE = 2; // seconds of samples that are processed at a time
const RETRIES = 3; // so often are beams doubled where no path ends with the sound
const LINK = "‿"; // joins the pieces of a word

const BYTES = { i64: 8, f64: 8, i32: 4, f32: 4, ptr: 4 };

/** The content of model.bin: settings, and the arrays that they refer to by number. */
async function unpacked(bytes) {
  let data = new Uint8Array(bytes);
  if (data[0] === 0x1f && data[1] === 0x8b) {
    // some servers unpack it on the way
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
    data = new Uint8Array(await new Response(stream).arrayBuffer());
  }
  const view = new DataView(data.buffer, data.byteOffset);
  const settings = view.getUint32(0, true);
  return [JSON.parse(new TextDecoder().decode(data.subarray(4, 4 + settings))), data.subarray(4 + settings)];
}

export class Recogniser {
  /** wasm, model: the bytes of core.wasm and of model.bin. */
  static async load(wasm, model) {
    const [settings, arrays] = await unpacked(model);
    const { instance } = await WebAssembly.instantiate(wasm, {});
    return new Recogniser(instance.exports, settings, arrays);
  }

  constructor(core, settings, arrays) {
    core._initialize?.();
    this.core = core;
    this.settings = settings;
    this.base = this.allocate(arrays.length);
    this.bytes(this.base, arrays.length).set(arrays);
    this.features = this.struct("features", settings.features);
    const graph = this.struct("graph", settings.graph);
    this.own = this.graph = { at: graph, leaf: this.array(settings.graph.leaf), words: settings.words };
    this.layers = {};
    for (const [name, layer] of Object.entries(settings.layers))
      this.layers[name] = { ...layer, at: this.struct("layer", layer.struct) };
    this.rows = this.allocate(this.layout("rows").size);
    this.out = this.allocate(64); // room for results that come by address
  }

  // ---- memory of the module: addresses are numbers, and views are valid until the next allocation

  allocate(size) {
    const at = this.core.malloc(Math.max(size, 16)) >>> 0;
    if (!at) throw new Error("The browser does not give enough memory; close other pages, or use shorter audio.");
    return at;
  }
  bytes(at, count) {
    return new Uint8Array(this.core.memory.buffer, at, count);
  }
  floats(at, count) {
    return new Float32Array(this.core.memory.buffer, at, count);
  }
  doubles(at, count) {
    return new Float64Array(this.core.memory.buffer, at, count);
  }
  ints(at, count) {
    return new Int32Array(this.core.memory.buffer, at, count);
  }
  bigs(at, count) {
    return new BigInt64Array(this.core.memory.buffer, at, count);
  }
  /** An array of the settings. */
  values(number, kind = Int32Array) {
    return new kind(this.core.memory.buffer, this.array(number), this.settings.sizes[number] / kind.BYTES_PER_ELEMENT);
  }
  /** The address of a copy of an array. */
  copy(values) {
    const at = this.allocate(values.byteLength);
    this.bytes(at, values.byteLength).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return at;
  }
  /** The address of an array of the settings; 0 where there is none. */
  array(number) {
    return number === null ? 0 : this.base + this.settings.arrays[number];
  }
  layout(name) {
    return this.settings.layouts[name];
  }
  /** The address of a new struct. */
  struct(name, values) {
    const at = this.allocate(this.layout(name).size);
    this.write(at, name, values, true);
    return at;
  }
  /** Fill a struct; `numbered`: pointers are numbers of arrays. */
  write(at, name, values, numbered = false) {
    for (const [field, kind, offset] of this.layout(name).fields) {
      if (!(kind in BYTES)) {
        this.write(at + offset, kind, values[field], numbered);
        continue;
      }
      const view = new DataView(this.core.memory.buffer, at + offset, BYTES[kind]);
      const value = values[field];
      if (kind === "i64") view.setBigInt64(0, BigInt(value), true);
      else if (kind === "f64") view.setFloat64(0, value, true);
      else if (kind === "f32") view.setFloat32(0, value, true);
      else if (kind === "i32") view.setInt32(0, value, true);
      else view.setUint32(0, numbered ? this.array(value) : value, true);
    }
  }
  /** The fields of a struct that the module holds. */
  read(at, name) {
    const found = {};
    for (const [field, kind, offset] of this.layout(name).fields) {
      const view = new DataView(this.core.memory.buffer, at + offset, BYTES[kind]);
      if (kind === "i64") found[field] = Number(view.getBigInt64(0, true));
      else if (kind === "f64") found[field] = view.getFloat64(0, true);
      else found[field] = view.getUint32(0, true);
    }
    return found;
  }
  // ---- words

  /** Words that streams which begin later find too, instead of those of an earlier call: a list, or an object
   *  {word: "its phones"}, several in a list, none: as G2P has it. Returns word -> [[probability, phones], …]; throws a
   *  sentence if that is impossible, and then changes nothing. */
  setWords(words) {
    const spoken = pronounce(this, words);
    const before = this.graph;
    this.graph = spoken.size ? extend(this, this.own, spoken) : this.own;
    this.graph.users++;
    this.release(before);
    return spoken;
  }
  /** A stream, or the recogniser, no longer needs a graph; with the last user it is freed. */
  release(graph) {
    if (graph === this.own || --graph.users > 0) return;
    if (graph.entries) this.core.core_entries_free(graph.entries);
    for (const at of graph.made) this.core.free(at);
  }
  /** A call with whole numbers (i64), whose result below 0 means that there is no memory. */
  enough(result) {
    if (Number(result) < 0) throw new Error("The browser does not give enough memory; use shorter audio.");
    return Number(result);
  }

  // ---- network: see Step in asrdistill/models/native.py

  /** Logits of `rows` frames at the address x, which stays the caller's: {at, rows, width}. */
  network(at, rows) {
    let x = { at, rows, width: this.settings.dimension };
    let kept = null;
    const free = (block) => block !== kept && block.at !== at && this.core.free(block.at);
    for (const [kind, name, step, place] of this.settings.steps) {
      const before = x;
      if (kind === "keep") {
        const last = kept;
        kept = x;
        if (last && last !== x) free(last);
        continue;
      }
      if (kind === "relu") x = this.relu(x);
      else if (kind === "layer") x = this.layer(x, this.layers[name], step, null, 0);
      else if (kind === "delayed") x = this.delayed(x, this.settings.delays[name], step, place);
      else if (kind === "pair") x = this.pair(x, step, place);
      else x = this.layer(x, this.layers[name], 1, kept.at + 4 * place * kept.width, step * kept.width);
      free(before);
    }
    const last = kept;
    kept = null;
    if (last && last !== x) free(last);
    return x;
  }

  block(rows, width) {
    return { at: this.allocate(4 * rows * width), rows, width };
  }

  relu(x) {
    const y = this.block(x.rows, x.width);
    const from = this.floats(x.at, x.rows * x.width);
    const to = this.floats(y.at, from.length);
    for (let i = 0; i < from.length; i++) to[i] = from[i] > 0 ? from[i] : 0;
    return y;
  }

  layer(x, layer, step, add, addStride) {
    const { inputs, units } = layer.struct;
    const y = this.block(Math.max(0, Math.floor((x.rows - inputs / x.width) / step) + 1), units);
    let input = x.at;
    if (layer.factor !== null) {
      input = this.allocate(x.rows * x.width + 3); // four bytes are read at a time
      const size = [BigInt(x.rows), BigInt(x.width)];
      this.core.core_to_bytes(0, x.at, ...size, this.array(layer.factor), layer.zero, input);
      this.bytes(input + x.rows * x.width, 3).fill(0);
    }
    const rows = { x: input, count: y.rows, stride: step * x.width, add: add ?? 0, add_stride: addStride, y: y.at };
    this.write(this.rows, "rows", rows);
    if (y.rows) this.core.core_layer_run(0, layer.at, this.rows);
    if (input !== x.at) this.core.free(input);
    return y;
  }

  delayed(x, { weight, taps }, step, dilation) {
    const y = this.block(Math.max(0, Math.ceil((x.rows - (taps - 1) * dilation) / step)), x.width);
    const sizes = [y.rows, step, dilation, taps, x.width].map(BigInt);
    this.core.core_delayed(0, x.at, ...sizes, this.array(weight), y.at);
    return y;
  }

  pair(x, step, place) {
    const y = this.block(Math.max(0, Math.ceil((x.rows - 2 * place) / step)), x.width);
    const half = x.width / 2;
    const from = this.floats(x.at, x.rows * x.width);
    const to = this.floats(y.at, y.rows * y.width);
    for (let t = 0; t < 2 * y.rows; t++) {
      // both halves of each row
      let a = ((t >> 1) * step + (t & 1 ? place : 0)) * x.width;
      let b = a + place * x.width + half;
      for (let i = t * half; i < (t + 1) * half; i++) to[i] = from[a++] + from[b++];
    }
    return y;
  }

  /** Words of a whole file (samples at settings.rate): as `asrdistill transcribe` finds them. */
  transcribe(samples, progress = () => {}) {
    const size = PIECE * this.settings.rate;
    const stream = new Stream(this);
    try {
      for (let at = 0; at < samples.length; at += size) {
        stream.accept(samples.subarray(at, at + size));
        progress(stream, Math.min(samples.length, at + size));
      }
      stream.finish();
    } finally {
      stream.free();
    }
    return stream.words;
  }
}

/** Rows of numbers in the module's memory, which are added at the end and taken from the beginning. */
class Table {
  constructor(recogniser, width) {
    Object.assign(this, { recogniser, width, count: 0, room: 0, at: 0 });
  }
  /** A view of `rows` new rows. */
  add(rows) {
    if (this.count + rows > this.room) {
      this.room = Math.max(2 * this.room, this.count + rows);
      const at = this.recogniser.allocate(4 * this.width * this.room);
      const size = this.count * this.width;
      this.recogniser.floats(at, size).set(this.recogniser.floats(this.at, size));
      this.free();
      this.at = at;
    }
    this.count += rows;
    return this.recogniser.floats(this.at + 4 * this.width * (this.count - rows), this.width * rows);
  }
  drop(rows) {
    this.recogniser.floats(this.at, this.count * this.width).copyWithin(0, rows * this.width);
    this.count -= rows;
  }
  free() {
    if (this.at) this.recogniser.core.free(this.at);
    this.at = 0;
  }
}

/** Recognition of samples that come in pieces; results do not depend on the pieces. Utterances end by the rules of
 *  asrdistill/runtime/options.py, as in runtime/stream.py.
 *
 *  words    final words: {word, start, end, confidence}, times in seconds
 *  partial  the best guess at those of the present utterance
 */
export class Stream {
  constructor(recogniser) {
    const { core, settings } = recogniser;
    Object.assign(this, { recogniser, words: [], partial: [], seconds: 0, frame: 0, scales: settings.scales });
    this.graph = recogniser.graph;
    this.graph.users++;
    this.waiting = []; // samples until there are enough for a step of the search
    this.held = 0;
    this.step = settings.block * settings.subsampling * settings.features.shift;
    this.silence = new Set(settings.silence);
    this.front = core.core_frontend_new(recogniser.features) >>> 0;
    this.search = core.core_search_new(this.graph.at, 4096n) >>> 0;
    this.frames = new Table(recogniser, settings.dimension); // normalised, with the context of the next
    this.scores = new Table(recogniser, settings.senones); // of the present utterance
    if (!this.front || !this.search) throw new Error("The browser does not give enough memory; close other pages.");
    this.start();
  }

  free() {
    this.recogniser.core.core_frontend_free(this.front);
    this.recogniser.core.core_search_free(this.search);
    this.recogniser.release(this.graph);
    this.frames.free();
    this.scores.free();
  }

  /** Begin to search the scores. */
  start() {
    const { recogniser: r } = this;
    const scales = r.allocate(r.layout("scales").size);
    r.write(scales, "scales", this.scales);
    r.enough(r.core.core_search_start(this.search, scales));
    r.core.free(scales);
    this.searched = 0; // frames of the utterance
    this.tail = null; // the frame from which on an utterance without a pause may end
  }

  /** More samples (Float32Array in [-1, 1) at settings.rate). */
  accept(samples) {
    this.waiting.push(samples.slice());
    this.held += samples.length;
    if (this.held < this.step) return;
    this.advance(false);
    this.utterances();
    this.partial = joined(this.trace(this.recogniser.core.core_search_best(this.search)).units);
  }

  /** No more samples come. Throws where there were less than a frame. */
  finish() {
    const { settings } = this.recogniser;
    this.advance(false);
    this.utterances();
    this.advance(true);
    this.partial = [];
    if (this.frame + this.scores.count === 0)
      throw new Error("The audio is too short: give at least a tenth of a second.");
    if (!this.scores.count) return;
    for (let tries = 0; ; tries++) {
      this.searchOn(true);
      const found = this.close(true);
      if (!found.whole && tries < RETRIES) {
        const beams = ["beam", "word_end_beam", "max_active"].map((name) => [name, 2 * this.scales[name]]);
        this.scales = { ...this.scales, ...Object.fromEntries(beams) };
        this.start();
        continue;
      }
      this.words.push(...found.words);
      this.scales = settings.scales;
      return;
    }
  }

  /** Search as far as there are scores, and end utterances by the rules. */
  utterances() {
    const { endpoints: rules, frame_seconds: shift } = this.recogniser.settings;
    const longest = Math.round((rules.stretch * rules.longest) / shift);
    for (let count; (count = this.searchOn(false)); ) {
      if (this.tail === null && this.searched > longest - rules.longest_word / shift) this.tail = this.searched - count;
      const { last, units } = this.trace(this.recogniser.core.core_search_best(this.search));
      const silence = this.silence.has(this.view().node) ? this.searched - last : 0;
      const limits = [rules.nothing];
      if (units.length) {
        const cost = this.cost();
        limits[0] = rules.longest_silence;
        if (cost <= rules.more) limits.push(rules.longer_silence);
        if (cost <= rules.little) limits.push(rules.silence);
        if (this.searched * shift >= rules.longest) limits.push(rules.pause);
      }
      const least = Math.ceil(Math.min(...limits) / shift);
      let end;
      if (silence >= least) end = this.searched - Math.min(silence - least, count);
      else if (this.searched >= longest) end = Math.max(last, this.tail);
      else continue;
      this.words.push(...this.close(silence >= least).words);
      this.frame += end;
      this.scores.drop(end);
      this.start();
    }
  }

  /** By how much the best path that may end here is worse than the best one, in ln P(words). */
  cost() {
    const { score, whole } = this.finals(true);
    return whole ? (this.view().best - Math.max(...score)) / this.scales.lm_weight : Infinity;
  }

  /** What core.h says of core_search_finals. */
  finals(whole) {
    const { recogniser: r, search } = this;
    const { out } = r;
    r.ints(out + 16, 1)[0] = whole ? 1 : 0;
    const count = r.enough(r.core.core_search_finals(search, out, out + 8, out + 16));
    const [origin, score] = [r.ints(out, 1)[0] >>> 0, r.ints(out + 8, 1)[0] >>> 0];
    const found = r.ints(out + 16, 1)[0] === 1;
    return { origin: Array.from(r.ints(origin, count)), score: Array.from(r.doubles(score, count)), whole: found };
  }

  view() {
    const { recogniser: r } = this;
    r.core.core_search_view(this.search, (r.viewed ??= r.allocate(r.layout("view").size)));
    return r.read(r.viewed, "view");
  }

  /** The words of the frames that were searched; on a path that may end there, if wanted and if there is one. */
  close(wanted) {
    const { origin, score, whole } = this.finals(wanted);
    const { units } = this.trace(origin[score.indexOf(Math.max(...score))]);
    this.confide(units);
    return { words: joined(units), whole };
  }

  /** From samples to scores. */
  advance(last) {
    const { recogniser: r, frames, scores } = this;
    const { core, settings } = r;
    const size = settings.dimension;
    const [left, right] = settings.context;
    this.seconds += this.held / settings.rate;
    const input = r.allocate(4 * this.held);
    let end = input;
    for (const piece of this.waiting.splice(0)) {
      r.floats(end, piece.length).set(piece);
      end += 4 * piece.length;
    }
    const made = r.enough(core.core_frontend_accept(this.front, input, BigInt(this.held), last ? 1 : 0, r.out));
    this.held = 0;
    core.free(input);
    const begun = this.begun;
    if (made) {
      this.begun = true;
      const repeated = begun ? 0 : left;
      const to = frames.add(repeated + made);
      const from = r.floats(r.ints(r.out, 1)[0] >>> 0, made * size);
      const mean = r.floats(r.array(settings.mean), size);
      const deviation = r.floats(r.array(settings.deviation), size);
      for (let t = 0, k = repeated * size; t < made; t++)
        for (let i = 0; i < size; i++, k++) to[k] = (from[t * size + i] - mean[i]) / deviation[i];
      for (let t = 0; t < repeated; t++) to.copyWithin(t * size, repeated * size, (repeated + 1) * size);
    }
    if (last && this.begun && right) {
      const to = frames.add(right);
      const end = r.floats(frames.at + 4 * size * (frames.count - right - 1), size);
      for (let t = 0; t < right; t++) to.set(end, t * size);
    }
    let ready = frames.count - left - right;
    if (!last) ready -= ready % settings.subsampling; // so that each chunk begins with a frame that is computed
    if (ready > 0) {
      const logits = r.network(frames.at, left + ready + right);
      const prior = r.array(settings.log_priors);
      const to = scores.add(logits.rows);
      posteriors(r.floats(logits.at, logits.rows * logits.width), r.floats(prior, logits.width), to);
      core.free(logits.at);
      frames.drop(ready);
    }
  }

  /** Search a block, or all that is left of the sound; returns the number of frames. */
  searchOn(last) {
    const { settings, core } = this.recogniser;
    const sizes = [this.scores.count - this.searched, settings.block, settings.beyond].map(BigInt);
    const at = this.scores.at + 4 * settings.senones * this.searched;
    const all = last ? 1n << 62n : 1n;
    const count = this.recogniser.enough(core.core_search_advance(this.search, at, ...sizes, last ? 1 : 0, all));
    this.searched += count;
    return count;
  }

  /** Words and pieces on the best path to a record or merge, and where the last of them, or silence, ended (frame). */
  trace(origin) {
    const { recogniser: r, frame } = this;
    const shift = r.settings.frame_seconds;
    const { leaf: leaves, words } = this.graph;
    const count = r.enough(r.core.core_search_trace(this.search, origin, r.out));
    const row = r.ints(r.ints(r.out, 1)[0] >>> 0, 6 * count); // score (two), leaf, begin, end, unused
    const units = [];
    for (let k = 0; k < count; k++) {
      const [leaf, begin, end] = row.subarray(6 * k + 2);
      const index = r.ints(leaves + 16 * leaf, 1)[0];
      if (index >= 0) units.push({ word: words[index], index, start: (frame + begin) * shift, end: (frame + end) * shift });
    }
    return { units, last: count ? row[6 * count - 2] : 0 };
  }

  /** Gives units their posterior probabilities in the lattice: asrdistill/decode/confusion.py. */
  confide(units) {
    const { recogniser: r } = this;
    const { core } = r;
    const found = core.core_search_arcs(this.search, -2) >>> 0;
    if (!found) throw new Error("The browser does not give enough memory; use shorter audio.");
    const arcs = r.read(found, "arcs");
    const [source, target, label] = ["source", "target", "label"].map((name) => r.ints(arcs[name], arcs.count).slice());
    const value = r.doubles(arcs.value, arcs.count).slice();
    const view = this.view();
    const record = r.ints(view.record, 6 * view.records).slice(); // score (two), leaf, end, back, state
    const nodes = [...new Set([0, view.records, ...source, ...target])].sort((a, b) => a - b);
    const number = new Map(nodes.map((node, k) => [node, k]));
    const ends = nodes.map((node) => (node < view.records ? record[6 * node + 3] : this.searched));
    const order = Array.from(source.keys()).sort((a, b) => source[a] - source[b] || target[a] - target[b]);
    const words = order.map((k) => (label[k] < 0 ? -1 : r.ints(this.graph.leaf + 16 * label[k], 1)[0]));
    const kinds = [...new Set([-1, ...words, ...units.map((unit) => unit.index)])].sort((a, b) => a - b);
    const kind = new Map(kinds.map((word, k) => [word, k]));
    const slots = units.flatMap((unit) => [0, kind.get(unit.index)]).concat(0);
    const made = [];
    const copied = (values, kind = Int32Array) => {
      const at = r.allocate(values.length * kind.BYTES_PER_ELEMENT);
      new kind(r.core.memory.buffer, at, values.length).set(values);
      made.push(at);
      return at;
    };
    const [A, V, Q] = [order.length, nodes.length, slots.length];
    const from = copied(order.map((k) => number.get(source[k])));
    const to = copied(order.map((k) => number.get(target[k])));
    const score = copied(order.map((k) => value[k] / this.scales.lm_weight), Float64Array);
    const before = copied(new Float64Array(V), Float64Array);
    const after = copied(new Float64Array(V), Float64Array);
    core.core_lattice_forward(BigInt(A), from, to, score, BigInt(V), before);
    core.core_lattice_backward(BigInt(A), from, to, score, BigInt(V), 1, after);
    const [sums, rest, all] = [r.doubles(before, V), r.doubles(after, V), r.doubles(score, A)];
    const [sources, targets] = [r.ints(from, A), r.ints(to, A)];
    for (let k = 0; k < A; k++) all[k] = Math.exp(sums[sources[k]] + all[k] + rest[targets[k]] - rest[0]);
    const word = copied(words.map((index) => kind.get(index)));
    const time = copied(ends);
    const slot = copied(slots);
    const [share, starts, last] = [0, 1, 2].map(() => copied(new Float64Array(Q * kinds.length), Float64Array));
    const sizes = [BigInt(Q), slot, kind.get(-1), BigInt(kinds.length)];
    core.core_confusion_align(BigInt(A), from, to, word, score, BigInt(V), time, ...sizes, share, starts, last);
    const shares = r.doubles(share, Q * kinds.length);
    units.forEach((unit, k) => {
      unit.confidence = Math.min(1, shares[(2 * k + 1) * kinds.length + slots[2 * k + 1]]);
    });
    made.forEach((at) => core.free(at));
  }
}

/** Log posteriors, less log priors, of rows of logits. */
function posteriors(logits, priors, out) {
  const width = priors.length;
  for (let begin = 0; begin < logits.length; begin += width) {
    let largest = -Infinity;
    let sum = 0;
    for (let i = begin; i < begin + width; i++) if (logits[i] > largest) largest = logits[i];
    for (let i = begin; i < begin + width; i++) sum += Math.exp(logits[i] - largest);
    if (!Number.isFinite(sum)) throw new Error("The network gives numbers that are not finite; export it again.");
    const less = largest + Math.log(sum);
    for (let i = 0; i < width; i++) out[begin + i] = logits[begin + i] - less - priors[i];
  }
}

/** Words from words and pieces of words. */
function joined(units) {
  const words = [];
  for (const unit of units) {
    const first = unit.word.startsWith(LINK) ? words.pop() : undefined;
    if (first === undefined) words.push({ ...unit });
    else {
      const confidence = Math.min(first.confidence, unit.confidence);
      words.push({ ...first, word: first.word.replace(/‿$/, "") + unit.word.slice(1), end: unit.end, confidence });
    }
  }
  return words.map(({ word, start, end, confidence }) => ({ word: word.replace(/^‿|‿$/g, ""), start, end, confidence }));
}

/** Samples at another rate, by a windowed sinc of CROSSINGS zeros on each side, in pieces of any sizes. */
const CROSSINGS = 16;
const FINE = 512; // entries of the table from one zero to the next

export class Resampler {
  constructor(from, to) {
    Object.assign(this, { from, to, index: 0 }); // index: number of the next sample out
    this.exact = from === to;
    this.scale = 0.95 * Math.min(1, to / from); // cuts off below half the lower rate
    this.reach = Math.ceil(CROSSINGS / this.scale);
    this.held = new Float32Array(this.reach); // zeros before the beginning
    this.first = -this.reach; // number of the first sample held
    this.table = Float64Array.from({ length: CROSSINGS * FINE + 2 }, (_, i) => {
      const x = i / FINE;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
      return x < CROSSINGS ? this.scale * sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / CROSSINGS)) : 0;
    });
  }

  /** More samples (Float32Array), the last ones if so. */
  accept(samples, last = false) {
    if (this.exact) return samples;
    const { reach, table, scale } = this;
    const held = new Float32Array(this.held.length + samples.length + (last ? reach : 0));
    held.set(this.held);
    held.set(samples, this.held.length);
    const out = [];
    for (; this.index * this.from < (this.first + held.length - reach) * this.to; this.index++) {
      const next = (this.index * this.from) / this.to - this.first;
      let sum = 0;
      for (let k = Math.ceil(next - reach); k <= next + reach; k++) {
        const place = Math.abs(k - next) * scale * FINE;
        const entry = Math.floor(place);
        if (place < CROSSINGS * FINE) sum += held[k] * (table[entry] + (place - entry) * (table[entry + 1] - table[entry]));
      }
      out.push(sum);
    }
    const dropped = Math.max(0, Math.floor((this.index * this.from) / this.to) - this.first - reach);
    this.held = held.slice(dropped);
    this.first += dropped;
    return Float32Array.from(out);
  }
}
