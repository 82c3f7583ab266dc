// The page: controls, microphone and files, and the words that the worker finds.

const $ = (id) => document.getElementById(id);
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];

let worker;
let rate = 16000; // Hz, of the recogniser
let microphone = null; // {context, media} while it is on
let waiting = 0; // files that are not done
const asked = new Map(); // number of a question -> what to do with its answer

function status(text) {
  $("status").textContent = text;
}

function problem(text) {
  $("problem").textContent = text;
  if (text) $("problem").scrollIntoView({ block: "nearest" });
}

/** A sentence if this browser cannot run the recogniser. */
function unable() {
  const simd = typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(SIMD));
  if (!simd || !("DecompressionStream" in window) || typeof BigInt === "undefined")
    return "This browser has no WebAssembly SIMD, which the recogniser needs; use Chrome 91, Firefox 113, Safari 16.4 or a later one.";
  if (location.protocol === "file:")
    return "Browsers load this page only from a server; start one in this folder, for example: python3 -m http.server";
  return "";
}

// ---- words

function show(words) {
  for (const { word, start, end, confidence } of words) {
    const span = document.createElement("span");
    span.className = "word";
    span.textContent = word;
    span.style.setProperty("--sure", confidence.toFixed(3));
    const sure = `${Math.round(100 * confidence)} %`;
    span.title = `${start.toFixed(2)} to ${end.toFixed(2)} s, ${sure} sure`;
    Object.assign(span.dataset, { start: start.toFixed(3), end: end.toFixed(3), confidence: confidence.toFixed(4) });
    const small = document.createElement("small");
    small.textContent = `${start.toFixed(2)} s`;
    small.setAttribute("aria-hidden", "true");
    span.append(small);
    $("final").append(span, " ");
  }
  if (words.length) $("hint").hidden = true;
}

function guess(words) {
  $("partial").textContent = words.map(({ word }) => word).join(" ");
  if (words.length) $("hint").hidden = true;
}

// ---- the worker

function received({ data }) {
  if (asked.has(data.id)) asked.get(data.id)(data);
  asked.delete(data.id);
  if (data.type === "ready") {
    rate = data.rate;
    $("name").textContent = document.title = data.name;
    $("microphone").disabled = $("file").disabled = $("add").disabled = false;
    $("more").hidden = !data.phones.length;
    $("phones").textContent = `Phones: ${data.phones.join(" ")}`;
    status(`Ready: ${data.words.toLocaleString()} words.`);
  } else if (data.type === "words") {
    show(data.words);
    guess(data.partial);
    if (data.factor !== null) $("factor").textContent = data.factor.toFixed(3);
    if (data.done) done();
  } else if (data.type === "progress") {
    guess(data.partial);
    status(`${Math.round(100 * data.part)} % …`);
  } else if (data.type === "problem") {
    problem(data.message);
    guess([]);
    stop();
    done("");
  }
}

function ask(type, rest = {}) {
  return new Promise((resolve) => {
    const id = crypto.getRandomValues(new Uint32Array(1))[0];
    asked.set(id, resolve);
    worker.postMessage({ type, id, ...rest });
  });
}

/** Recognise the words of the field, too. */
async function add() {
  problem("");
  $("add").disabled = true;
  const { words, message } = await ask("vocabulary", { text: $("words").value });
  $("add").disabled = false;
  if (message) return problem(message);
  const items = words.map(([word, spoken]) => {
    const item = document.createElement("li");
    item.textContent = `${word}: ${spoken.join(", or ")}`;
    return item;
  });
  $("added").replaceChildren(...items);
  status(words.length === 1 ? "1 word is added." : `${words.length.toLocaleString()} words are added.`);
}

function done(text = "Done.") {
  waiting = 0;
  $("file").disabled = $("microphone").disabled = false;
  $("save").disabled = !text;
  status(text);
}

// ---- microphone

async function start() {
  problem("");
  if (!navigator.mediaDevices)
    return problem("Browsers give the microphone only to https pages and to localhost; open the page there, or a sound file.");
  $("microphone").disabled = true;
  try {
    // as it is: cleaned sound is not what recognisers are trained on
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const media = await navigator.mediaDevices.getUserMedia({ audio });
    const context = new AudioContext();
    microphone = { context, media };
    await context.audioWorklet.addModule("capture.js");
    const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    capture.port.onmessage = ({ data }) => worker.postMessage({ type: "samples", samples: data }, [data.buffer]);
    worker.postMessage({ type: "begin", rate: context.sampleRate });
    context.createMediaStreamSource(media).connect(capture);
    media.getTracks()[0].onended = finish;
    $("microphone").textContent = "Stop microphone";
    $("microphone").setAttribute("aria-pressed", "true");
    $("file").disabled = true;
    status("Listening …");
  } catch (error) {
    stop();
    if (error.name === "NotAllowedError")
      problem("The microphone is not allowed; allow it for this page in the browser's settings, or open a sound file.");
    else if (error.name === "NotFoundError") problem("There is no microphone; connect one, or open a sound file.");
    else problem(`The microphone does not work (${error.message}); open a sound file instead.`);
  }
  $("microphone").disabled = false;
}

function stop() {
  microphone?.media.getTracks().forEach((track) => track.stop());
  microphone?.context.close();
  microphone = null;
  $("microphone").textContent = "Start microphone";
  $("microphone").setAttribute("aria-pressed", "false");
  $("file").disabled = false;
}

function finish() {
  if (!microphone) return;
  stop();
  worker.postMessage({ type: "end" });
}

// ---- files

async function open(file) {
  if (!file || microphone || waiting) return;
  waiting = 1;
  problem("");
  $("file").disabled = $("microphone").disabled = true;
  status(`Reading ${file.name} …`);
  try {
    const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await file.arrayBuffer());
    const samples = new Float32Array(sound.length);
    for (let k = 0; k < sound.numberOfChannels; k++) {
      const channel = sound.getChannelData(k);
      for (let i = 0; i < samples.length; i++) samples[i] += channel[i] / sound.numberOfChannels;
    }
    worker.postMessage({ type: "file", samples }, [samples.buffer]);
  } catch {
    done("");
    problem(`${file.name} is no sound that this browser can read; try a WAV, FLAC, MP3 or Ogg file.`);
  }
}

/** The sound that was recognised last: Float32Array at the recogniser's rate. */
async function sound() {
  return { rate, samples: (await ask("sound")).samples };
}

async function save() {
  const { samples } = await sound();
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((letter, k) => head.setUint8(at + k, letter.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); // PCM, one channel
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, 2 * samples.length, true);
  const pcm = Int16Array.from(samples, (x) => Math.max(-32768, Math.min(32767, Math.round(32768 * x))));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([head, pcm], { type: "audio/wav" }));
  link.download = "speech.wav";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function clear() {
  $("final").replaceChildren();
  guess([]);
  problem("");
  $("hint").hidden = false;
}

// ---- begin

function begin() {
  $("microphone").onclick = () => (microphone ? finish() : start());
  $("file").onchange = ({ target }) => {
    open(target.files[0]);
    target.value = "";
  };
  $("save").onclick = save;
  $("clear").onclick = clear;
  $("add").onclick = add;
  $("times").onchange = ({ target }) => $("transcript").classList.toggle("times", target.checked);
  document.ondragover = (event) => {
    event.preventDefault();
    $("transcript").classList.add("drop");
  };
  document.ondragleave = () => $("transcript").classList.remove("drop");
  document.ondrop = (event) => {
    event.preventDefault();
    $("transcript").classList.remove("drop");
    open(event.dataTransfer.files[0]);
  };
  const reason = unable();
  if (reason) {
    status("");
    return problem(reason);
  }
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = received;
  worker.onerror = () => problem("The recogniser could not be started; reload the page.");
  worker.postMessage({ type: "load" });
  navigator.serviceWorker?.register("offline.js").catch(() => {}); // it only saves the page for later
  Object.assign(window, { sound }); // for tests, and for curious people
}

begin();
