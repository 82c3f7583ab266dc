// Recognises apart from the page, so that the page stays responsive. Messages are {type, …}, both ways.
import { Recogniser, Resampler, Stream } from "./recogniser.js";
import { readWords } from "./vocabulary.js";

const KEPT = 600; // seconds of sound that can be saved

let recogniser;
let live = null; // {stream, resampler, shown} of the microphone
let sound = []; // pieces of what was recognised last, at the recogniser's rate
let busy = 0; // milliseconds

async function fetched(name) {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${name} is missing on the server (${answer.status}); copy the whole folder there.`);
  return answer.arrayBuffer();
}

async function load() {
  const [wasm, model] = await Promise.all([fetched("core.wasm"), fetched("model.bin")]);
  recogniser = await Recogniser.load(wasm, model);
  const { name, rate, words, adding } = recogniser.settings;
  return { type: "ready", name, rate, words: words.length, phones: [...new Set(adding?.roots.slice(1))].sort() };
}

function keep(samples) {
  sound.push(samples);
  let count = sound.reduce((sum, piece) => sum + piece.length, 0);
  while (count > KEPT * recogniser.settings.rate) count -= sound.shift().length;
}

/** Times what is done, and reports the words after it. */
function report(stream, done = false) {
  const factor = stream.seconds ? busy / 1000 / stream.seconds : null;
  const words = stream.words.splice(0);
  postMessage({ type: "words", words, partial: stream.partial, seconds: stream.seconds, factor, done });
}

function timed(work) {
  const begun = performance.now();
  try {
    return work();
  } finally {
    busy += performance.now() - begun;
  }
}

const actions = {
  load,
  /** A whole file, at the recogniser's rate. */
  file({ samples }) {
    sound = [samples];
    busy = 0;
    const begun = performance.now();
    const progress = (stream, done) => postMessage({ type: "progress", partial: stream.partial, part: done / samples.length });
    const words = recogniser.transcribe(samples, progress);
    const seconds = samples.length / recogniser.settings.rate;
    return { type: "words", words, partial: [], seconds, factor: (performance.now() - begun) / 1000 / seconds, done: true };
  },
  begin({ rate }) {
    sound = [];
    busy = 0;
    live = { stream: new Stream(recogniser), resampler: new Resampler(rate, recogniser.settings.rate) };
  },
  samples({ samples }, last = false) {
    if (!live) return;
    timed(() => {
      const piece = live.resampler.accept(samples, last);
      keep(piece);
      live.stream.accept(piece);
    });
    report(live.stream);
  },
  end() {
    if (!live) return;
    actions.samples({ samples: new Float32Array(0) }, true);
    const { stream } = live;
    live = null;
    try {
      timed(() => stream.finish());
      report(stream, true);
    } finally {
      stream.free();
    }
  },
  /** Words to recognise beside the page's own: lines of a word, and its phones if they are given. */
  vocabulary({ text }) {
    try {
      const words = [...recogniser.setWords(readWords(text))];
      return { type: "vocabulary", words: words.map(([word, entries]) => [word, entries.map(([, phones]) => phones.join(" "))]) };
    } catch (error) {
      return { type: "vocabulary", message: error.message };
    }
  },
  sound() {
    const all = new Float32Array(sound.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of sound) {
      all.set(piece, at);
      at += piece.length;
    }
    return { type: "sound", samples: all };
  },
};

let last = Promise.resolve();
onmessage = ({ data }) => {
  // one after the other, since loading waits
  last = last.then(async () => {
    try {
      const answer = await actions[data.type](data);
      if (answer) postMessage({ ...answer, id: data.id });
    } catch (error) {
      live?.stream.free();
      live = null;
      postMessage({ type: "problem", message: error.message, id: data.id });
    }
  });
};
