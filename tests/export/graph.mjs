// node graph.mjs PAGE WORDS.json [SAMPLES.f32]: the arrays of a page's search graph with these words, as JSON, or with
// samples the words that are found; or the sentence of an error.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [page, path, sound] = process.argv.slice(2);
const { Recogniser } = await import(pathToFileURL(`${page}/recogniser.js`));
const r = await Recogniser.load(readFileSync(`${page}/core.wasm`), readFileSync(`${page}/model.bin`));
const words = JSON.parse(readFileSync(path));
const tell = (found) => (console.log(JSON.stringify(found)), process.exit());
try {
  r.setWords(words); // and again below, so that graphs are freed
} catch (error) {
  tell({ refused: error.message });
}
const spoken = r.setWords(words);
if (sound) {
  const bytes = readFileSync(sound);
  tell({ found: r.transcribe(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))) });
}
const { at, words: all } = r.graph;
const view = new DataView(r.core.memory.buffer);
const fields = (name, begin, found = {}) => {
  for (const [field, kind, offset] of r.layout(name).fields) {
    if (r.settings.layouts[kind]) found[field] = fields(kind, begin + offset);
    else found[field] = kind === "ptr" ? view.getUint32(begin + offset, true) : Number(view.getBigInt64(begin + offset, true));
  }
  return found;
};
const graph = fields("graph", at);
const ints = (address, count) => Array.from(r.ints(address, count));
const floats = (address, count) => Array.from(r.floats(address, count), (value) => (value === -Infinity ? -1e30 : value));
const node = ints(graph.node, 7 * (graph.nodes + 1));
const most = (place) => node.reduce((found, value, k) => (k % 7 === place && value > found ? value : found), 0);
const exits = most(3) + 1;
const entryBegin = ints(graph.entry_begin, exits + 1);
const begin = ints(graph.begin, graph.senones + 1);
const leaves = most(5);
const look = graph.more;
const firsts = Array.from(r.bigs(look.begin, graph.grammar.states + 1), Number);
const unigrams = Number(r.bigs(graph.grammar.arc_begin, 2)[1]);
console.log(
  JSON.stringify({
    words: all,
    spoken: [...spoken],
    sizes: [graph.nodes, graph.roots, graph.more_roots, graph.unknown_token, exits],
    node,
    child: ints(graph.child, 3 * node.at(-5)),
    leaf: ints(graph.leaf, 4 * leaves).filter((_, k) => k % 4 !== 2),
    logprob: floats(graph.leaf, 4 * leaves).filter((_, k) => k % 4 === 2),
    entry_begin: entryBegin,
    entry: ints(graph.entry, 3 * entryBegin.at(-1)),
    pause: Array.from(r.bytes(graph.pause, exits)),
    begin,
    target: ints(graph.target, begin.at(-1)),
    ...Object.fromEntries(["start", "end", "final", "initial"].map((name) => [name, ints(graph[name], graph[`${name}s`])])),
    ...{ once: ints(graph.once, graph.onces), rest: ints(graph.rest, graph.onces) },
    unknown: floats(graph.unknown, look.classes),
    base: floats(look.base, look.classes),
    look_begin: firsts,
    look_node: ints(look.node, firsts.at(-1)),
    look_value: floats(look.value, firsts.at(-1)),
    unigrams: ints(graph.grammar.arc_token, unigrams),
    unigram_logprob: floats(graph.grammar.arc_logprob, unigrams),
  }),
);
