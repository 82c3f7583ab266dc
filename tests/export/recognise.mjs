// node recognise.mjs PAGE SAMPLES.f32 [PIECE]: words of a page's recogniser, as JSON; in pieces, as from a microphone.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [page, path, piece] = process.argv.slice(2);
const { Recogniser, Stream } = await import(pathToFileURL(`${page}/recogniser.js`));
const recogniser = await Recogniser.load(readFileSync(`${page}/core.wasm`), readFileSync(`${page}/model.bin`));
const bytes = readFileSync(path);
const samples = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const begun = process.cpuUsage().user;
let words;
const partial = [];
if (piece) {
  const stream = new Stream(recogniser);
  for (let at = 0; at < samples.length; at += Number(piece)) {
    stream.accept(samples.subarray(at, at + Number(piece)));
    partial.push([...stream.words, ...stream.partial].map(({ word }) => word).join(" "));
  }
  stream.finish();
  stream.free();
  words = stream.words;
} else words = recogniser.transcribe(samples);
const seconds = (process.cpuUsage().user - begun) / 1e6;
console.log(JSON.stringify({ words, partial, seconds, audio: samples.length / recogniser.settings.rate }));
