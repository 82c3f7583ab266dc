// node resample.mjs PAGE BEFORE AFTER HERTZ: a second of a sine at another rate, at once and in pieces, as JSON.
import { pathToFileURL } from "node:url";

const [page, before, after, hertz] = process.argv.slice(2).map((word, k) => (k ? Number(word) : word));
const { Resampler } = await import(pathToFileURL(`${page}/recogniser.js`));
const sine = Float32Array.from({ length: before }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / before));
const whole = new Resampler(before, after).accept(sine, true);
const resampler = new Resampler(before, after);
const pieces = [];
for (let at = 0; at < sine.length; at += 777) pieces.push(...resampler.accept(sine.subarray(at, at + 777)));
pieces.push(...resampler.accept(new Float32Array(0), true));
console.log(JSON.stringify([Array.from(whole), pieces]));
