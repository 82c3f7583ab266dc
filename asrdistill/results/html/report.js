'use strict';
// Draws the pictures and the explorer of report.html from the JSON beside it. Text is only ever set as text.
const data = JSON.parse(document.getElementById('data').textContent);
const $ = (selector, from = document) => from.querySelector(selector);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function draw(tag, attributes = {}, text = null, title = null) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.append(text);
  if (title !== null) element.append(draw('title', {}, title));
  return element;
}

const colour = number => `var(--c${number % 8})`;
const short = value => Math.abs(value) >= 1e6 ? `${+(value / 1e6).toPrecision(3)} M`
  : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : `${+value.toPrecision(3)}`;
const unique = values => [...new Set(values)];

// ---- charts

function figure(section, title, hint = '') {
  const box = make('figure', {}, make('figcaption', {}, title));
  if (hint) box.append(make('p', {class: 'hint'}, hint));
  $(`#${section} .charts`).append(box);
  return box;
}

function ticks(low, high, log) {
  if (!log) {
    const rough = (high - low) / 4 || 1, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find(factor => factor * power >= rough);
    const first = Math.ceil(low / step - 1e-9);
    return Array.from({length: Math.floor(high / step + 1e-9) - first + 1}, (_, n) => (first + n) * step);
  }
  const wide = high / low > 50, found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const factor of wide ? [1] : [1, 2, 5]) found.push(factor * 10 ** power);
  }
  return found.filter(value => value >= low * 0.999 && value <= high * 1.001);
}

// series: {name, points: [x, y, low, high, label][], line, dash}; drawn as lines, dots and their intervals
function chart(box, series, x, y, keys = true) {
  series = series.filter(each => each.points.length);
  const width = 420, height = 270, left = 48, right = 14, top = 10, bottom = 40;
  const all = series.flatMap(each => each.points), xs = all.map(p => p[0]);
  const ys = all.flatMap(p => p.slice(1, 4)).filter(Number.isFinite);
  const range = (values, at) => {
    let [low, high] = [at.low ?? Math.min(...values), at.high ?? Math.max(...values)];
    if (at.log) return [low / 1.25, high * 1.25];
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    return [at.low ?? low - room, at.high ?? high + room];
  };
  const scale = (at, [low, high], from, to) => {
    const f = at.log ? Math.log : Number;
    return value => from + (f(value) - f(low)) / (f(high) - f(low)) * (to - from);
  };
  const rangeX = range(xs, x), rangeY = range(ys, y);
  const px = scale(x, rangeX, left, width - right), py = scale(y, rangeY, height - bottom, top);
  const names = series.map(each => each.name).join(', ');
  const svg = draw('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${y.label} by ${x.label}: ${names}`});
  for (const value of ticks(...rangeY, y.log)) {
    svg.append(draw('line', {x1: left, x2: width - right, y1: py(value), y2: py(value), stroke: 'var(--line)'}));
    svg.append(draw('text', {x: left - 6, y: py(value) + 4, 'text-anchor': 'end'}, short(value)));
  }
  for (const value of ticks(...rangeX, x.log)) {
    svg.append(draw('text', {x: px(value), y: height - bottom + 18, 'text-anchor': 'middle'}, short(value)));
  }
  svg.append(draw('text', {x: (left + width - right) / 2, y: height - 4, 'text-anchor': 'middle'}, x.label));
  series.forEach((each, number) => {
    const stroke = each.colour ?? colour(number);
    const path = each.points.map(p => `${px(p[0])},${py(p[1])}`).join(' ');
    const style = {points: path, fill: 'none', stroke, 'stroke-width': 1.8, 'stroke-dasharray': each.dash ?? 'none'};
    if (each.line !== false) svg.append(draw('polyline', style));
    for (const [at, value, low, high, label] of each.dots === false ? [] : each.points) {
      if (Number.isFinite(low)) svg.append(draw('line', {x1: px(at), x2: px(at), y1: py(low), y2: py(high), stroke, 'stroke-width': 1.6}));
      svg.append(draw('circle', {cx: px(at), cy: py(value), r: each.points.length > 40 ? 1.5 : 3.5, fill: stroke}, null,
        `${label ?? each.name}: ${x.label} ${short(at)}, ${y.label} ${short(value)}`));
      const end = px(at) > width * 0.7;
      if (label) svg.append(draw('text', {class: 'name', x: px(at) + (end ? -7 : 7), y: py(value) - 6, 'text-anchor': end ? 'end' : 'start'}, label));
    }
  });
  box.append(svg);
  if (keys) box.append(make('div', {class: 'keys'}, ...series.map((each, number) => {
    const mark = make('i');
    mark.style.background = each.colour ?? colour(number);
    return make('span', {}, mark, each.name);
  })));
}

// rows: {name, values: [{value, low, high, colour, title}]}: dots with intervals, or bars from 0
function rowsChart(box, rows, label, bars = false) {
  const width = 420, left = 150, step = bars ? 24 : 16 + 9 * Math.max(...rows.map(row => row.values.length));
  const found = rows.flatMap(row => row.values.flatMap(v => [v.value, v.low, v.high])).filter(Number.isFinite);
  const high = Math.max(...found), low = bars ? 0 : Math.max(0, Math.min(...found) - 0.05 * high);
  const px = value => left + (value - low) / (high - low || 1) * (width - left - (bars ? 78 : 20));
  const height = rows.length * step + 26;
  const svg = draw('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${label}: ${rows.map(row => row.name).join(', ')}`});
  for (const value of ticks(low, high)) {
    svg.append(draw('line', {x1: px(value), x2: px(value), y1: 0, y2: height - 20, stroke: 'var(--line)'}));
    svg.append(draw('text', {x: px(value), y: height - 5, 'text-anchor': 'middle'}, short(value)));
  }
  rows.forEach((row, number) => {
    const middle = (number + 0.5) * step;
    svg.append(draw('text', {class: 'name', x: left - 8, y: middle + 4, 'text-anchor': 'end'}, row.name.length > 21 ? `${row.name.slice(0, 20)}…` : row.name, row.name));
    row.values.forEach((each, place) => {
      const y = middle + (place - (row.values.length - 1) / 2) * 9;
      if (bars) svg.append(draw('rect', {x: left, y: y - 7, width: Math.max(1, px(each.value) - left), height: 14, rx: 2, fill: each.colour}, null, each.title));
      if (Number.isFinite(each.low)) svg.append(draw('line', {x1: px(each.low), x2: px(each.high), y1: y, y2: y, stroke: each.colour, 'stroke-width': 2}));
      if (!bars) svg.append(draw('circle', {cx: px(each.value), cy: y, r: 3.5, fill: each.colour}, null, each.title));
      if (bars) svg.append(draw('text', {x: px(each.value) + 5, y: y + 4}, each.text));
    });
  });
  box.append(svg);
}

function results() {
  if (!data.intervals.length) return;
  const sets = unique(data.intervals.map(each => each.set));
  const rows = unique(data.intervals.map(each => each.system)).map(name => ({name, values: data.intervals
    .filter(each => each.system === name)
    .map(each => ({...each, colour: colour(sets.indexOf(each.set)), title: `${name}, ${each.set}: ${each.value.toFixed(2)} % [${each.low?.toFixed(2)}, ${each.high?.toFixed(2)}]`}))}));
  const box = figure('results', `${data.measure} % with 95 % intervals`);
  rowsChart(box, rows, data.rate);
  box.append(make('div', {class: 'keys'}, ...sets.map((name, number) => {
    const mark = make('i');
    mark.style.background = colour(number);
    return make('span', {}, mark, name);
  })));
}

function training() {
  for (const title of unique(data.networks.flatMap(each => Object.keys(each.curves)))) {
    const series = data.networks.map((each, number) => ({name: each.name, points: each.curves[title], colour: colour(number), dash: number > 7 ? '4 2' : 'none'}));
    if (series.some(each => each.points.length)) chart(figure('training', title), series, {label: 'updates', low: 0}, {label: title});
  }
  const gain = Object.entries(data.gain);
  if (!gain.length) return;
  const box = figure('training', 'Share of the ensemble’s gain that is kept, %', '0: a single network; 100: the ensemble.');
  const most = Math.max(...gain.flatMap(([, points]) => points.map(p => p[0])));
  const levels = [0, 100].map(y => ({name: y ? 'ensemble' : 'single', points: [[0, y], [most, y]], dash: '3 3', dots: false, colour: 'var(--faint)'}));
  chart(box, [...levels, ...gain.map(([name, points], number) => ({name, points, colour: colour(number)}))], {label: 'updates', low: 0}, {label: 'gain kept, %'});
}

function pareto() {
  for (const [key, title] of Object.entries(data.axes)) {
    const points = data.points.filter(each => each[key] > 0).sort((a, b) => a[key] - b[key] || a.value - b.value);
    if (points.length < 2) continue;
    const more = /per_second/.test(key); // the larger the better
    let best = Infinity;
    const front = (more ? points.toReversed() : points).filter(each => each.value < best && (best = each.value, true));
    chart(figure('pareto', `${data.measure} % by ${title}`), [
      {name: 'best of its size', points: front.map(each => [each[key], each.value]), dots: false, colour: 'var(--faint)'},
      {name: 'systems', points: points.map(each => [each[key], each.value, each.low, each.high, each.system]), line: false, colour: colour(0)},
    ], {label: title, log: true}, {label: `${data.measure} %`}, false);
  }
}

function confidence() {
  const series = Object.entries(data.reliability).map(([name, bins], number) => ({name, points: bins.map(([, sure, right]) => [sure, right]), colour: colour(number)}));
  if (!series.length) return;
  const ideal = {name: 'perfect', points: [[0, 0], [1, 1]], dots: false, dash: '3 3', colour: 'var(--faint)'};
  chart(figure('confidence', 'Share of right words by confidence', 'Each point is a tenth of the words.'), [ideal, ...series], {label: 'mean confidence', low: 0, high: 1}, {label: 'share of right words', low: 0, high: 1});
}

function confusions() {
  const systems = Object.keys(data.confusions);
  if (!systems.length) return;
  const choice = make('select', {'aria-label': 'system'}, ...systems.map(name => make('option', {}, name)));
  choice.value = systems.includes('student') ? 'student' : systems.at(-1);
  const box = figure('confusions', 'Aligned phone (rows) and phone of the best output (columns)', 'Outputs of networks that learn sequences (LF-MMI) may come some frames late.');
  const list = figure('confusions', 'Most frequent confusions');
  const map = make('div'), table = make('div', {class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'confusions'});
  box.append(choice, map);
  list.append(table);
  const show = () => {
    const cells = data.confusions[choice.value], phones = unique(cells.map(cell => cell[0])), totals = {};
    for (const [phone, , n] of cells) totals[phone] = (totals[phone] ?? 0) + n;
    const side = 400 / (phones.length + 2);
    const svg = draw('svg', {viewBox: '0 0 420 420', role: 'img', 'aria-label': `confusions of ${choice.value}`});
    const at = phone => 30 + phones.indexOf(phone) * side;
    for (const phone of phones) {
      const size = {'font-size': `${Math.min(12, side)}px`, style: `font-size:${Math.min(12, side)}px`};
      svg.append(draw('text', {...size, x: 27, y: at(phone) + side * 0.8, 'text-anchor': 'end'}, phone));
      svg.append(draw('text', {...size, transform: `translate(${at(phone) + side * 0.8} 27) rotate(-90)`}, phone));
    }
    for (const [phone, other, n] of cells.filter(cell => phones.includes(cell[1]))) {
      svg.append(draw('rect', {x: at(other), y: at(phone), width: side, height: side, fill: phone === other ? 'var(--good)' : 'var(--del)', 'fill-opacity': Math.sqrt(n / totals[phone])}, null,
        `${phone} as ${other}: ${(100 * n / totals[phone]).toFixed(1)} % of ${totals[phone]} frames`));
    }
    map.replaceChildren(svg);
    const worst = cells.filter(cell => cell[0] !== cell[1]).sort((a, b) => b[2] - a[2]).slice(0, 15);
    const line = cells => make('tr', {}, ...cells.map((cell, n) => make(n ? 'td' : 'th', {}, cell)));
    table.replaceChildren(make('table', {}, make('thead', {}, line(['aligned', 'output', 'frames', '% of the phone'])),
      make('tbody', {}, ...worst.map(([phone, other, n]) => line([phone, other, n.toLocaleString('en'), (100 * n / totals[phone]).toFixed(1)])))));
  };
  choice.addEventListener('change', show);
  show();
}

function costs() {
  const time = s => s < 60 ? `${s.toFixed(0)} s` : `${Math.floor(s / 60)} min ${String(Math.round(s % 60)).padStart(2, '0')} s`;
  for (const [key, title, text] of [['seconds', 'Seconds of each stage', time], ['mb', 'Peak memory of each stage, MB', short]]) {
    const rows = data.stages.map(each => ({name: each.name, values: [{value: each[key], text: text(each[key]), title: `${each.name}: ${text(each[key])}`, colour: colour(0)}]}));
    if (rows.length) rowsChart(figure('costs', title), rows, title, true);
  }
}

// ---- explorer

// Pairs of words as sclite aligns them: a substitution costs 4, an insertion or deletion 3; see scoring/edit_distance.py
function align(ref, hyp) {
  const columns = hyp.length + 1, cost = new Int32Array((ref.length + 1) * columns);
  for (let i = 0; i <= ref.length; i++) {
    for (let j = 0; j <= hyp.length; j++) {
      cost[i * columns + j] = i && j ? Math.min(cost[(i - 1) * columns + j - 1] + (ref[i - 1] === hyp[j - 1] ? 0 : 4),
        cost[(i - 1) * columns + j] + 3, cost[i * columns + j - 1] + 3) : 3 * (i + j);
    }
  }
  const pairs = [];
  for (let i = ref.length, j = hyp.length; i || j;) {
    const here = cost[i * columns + j];
    if (i && j && here === cost[(i - 1) * columns + j - 1] + (ref[i - 1] === hyp[j - 1] ? 0 : 4)) pairs.push([ref[--i], hyp[--j]]);
    else if (j && here === cost[i * columns + j - 1] + 3) pairs.push([null, hyp[--j]]);
    else pairs.push([ref[--i], null]);
  }
  return pairs.reverse();
}

const words = text => text ? text.split(' ') : [];
const kind = ([ref, hyp]) => ref === null ? 'i' : hyp === null ? 'd' : ref === hyp ? '' : 's';
const wrong = (each, system) => each.errors[system] ??= align(words(each.ref), words(each.hyp[system])).filter(kind).length;
const form = $('#utterances form'), list = $('#list'), one = $('#one');
let shown = 0, found = [];

function search() {
  const system = data.decoded.indexOf(form.system.value), word = form.word.value.trim().toLowerCase();
  found = data.utterances.filter(each => (!form.set.value || each.set === form.set.value) && (!form.sound.checked || each.sound)
    && (!word || `${each.ref} ${each.hyp[system] ?? ''}`.toLowerCase().includes(word)));
  found.sort((a, b) => wrong(b, system) - wrong(a, system) || words(a.ref).length - words(b.ref).length);
  const errors = found.reduce((sum, each) => sum + wrong(each, system), 0), total = found.reduce((sum, each) => sum + words(each.ref).length, 0);
  $('#found').textContent = `${found.length} utterances, ${errors} errors in ${total} words; ${found.filter(each => each.sound).length} with sound. Worst first.`;
  list.replaceChildren();
  shown = 0;
  more();
  if (found.length) explore(found[0]);
  else one.replaceChildren();
}

function more() {
  const system = data.decoded.indexOf(form.system.value);
  for (const each of found.slice(shown, shown + 50)) {
    const button = make('button', {type: 'button'}, `${wrong(each, system)} of ${words(each.ref).length} `, make('small', {}, `${each.set} ${each.id}${each.sound ? ' ♪' : ''}`), make('br'), each.ref || '(no words)');
    button.addEventListener('click', () => explore(each));
    each.button = button;
    list.append(make('li', {}, button));
  }
  shown += 50;
  if (shown >= found.length) return;
  const next = make('button', {type: 'button'}, `${found.length - shown} more`);
  next.addEventListener('click', () => { next.parentElement.remove(); more(); found[shown - 50].button.focus(); });
  list.append(make('li', {}, next));
}

list.addEventListener('keydown', event => {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key], buttons = [...list.querySelectorAll('button')];
  const next = step && buttons[buttons.indexOf(document.activeElement) + step];
  if (next) { event.preventDefault(); next.focus(); }
});

async function explore(each) {
  for (const button of list.querySelectorAll('[aria-current]')) button.removeAttribute('aria-current');
  each.button.setAttribute('aria-current', 'true');
  for (const sound of one.querySelectorAll('audio')) URL.revokeObjectURL(sound.src);
  const compared = name => {
    const hyp = each.hyp[data.decoded.indexOf(name)];
    if (hyp === null) return [];
    const pairs = align(words(each.ref), words(hyp)).map(pair => make('span', {class: kind(pair), title: {i: 'insertion', d: 'deletion', s: 'substitution'}[kind(pair)] ?? 'right'},
      make('b', {}, pair[0] ?? '∗'), make('b', {}, pair[1] ?? '∗')));
    return [make('small', {class: 'rate'}, `${name}: ${wrong(each, data.decoded.indexOf(name))} wrong`), make('div', {class: 'pairs'}, ...pairs)];
  };
  const first = unique([form.system.value, ...Object.keys(each.best ?? {})]), others = data.decoded.filter(name => !first.includes(name));
  const said = make('div', {class: 'said'}, ...first.flatMap(compared));
  one.replaceChildren(make('h3', {}, `${each.set} ${each.id}`), make('p', {class: 'hint'}, 'Above what was said, below what was recognised; ∗ is no word.'), said);
  if (others.length) one.append(make('details', {}, make('summary', {}, 'other systems'), ...others.flatMap(compared)));
  if (each.sound) await hear(each, said, first);
  else one.append(make('p', {class: 'none'}, 'The report holds no sound of this utterance.'));
}

const bytes = text => Uint8Array.from(atob(text), character => character.charCodeAt(0));

function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [re[i], re[j], im[i], im[j]] = [re[j], re[i], im[j], im[i]];
  }
  for (let size = 2; size <= n; size *= 2) {
    for (let k = 0; k < size / 2; k++) {
      const [c, s] = [Math.cos(2 * Math.PI * k / size), -Math.sin(2 * Math.PI * k / size)];
      for (let a = k; a < n; a += size) {
        const b = a + size / 2, x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
        [re[b], im[b]] = [re[a] - x, im[a] - y];
        re[a] += x;
        im[a] += y;
      }
    }
  }
}

const HOP = 0.01, FLOOR = 7; // seconds; powers of ten below the loudest

// Log power of windows of 25 ms, HOP apart, from 0 (FLOOR and less) to 1
function spectrogram(samples, rate) {
  const length = Math.round(0.025 * rate), size = 2 ** Math.ceil(Math.log2(length)), step = HOP * rate;
  const columns = Math.max(1, Math.floor((samples.length - length) / step) + 1), bins = size / 2;
  const power = new Float32Array(columns * bins), re = new Float64Array(size), im = new Float64Array(size);
  let most = -Infinity;
  for (let t = 0; t < columns; t++) {
    re.fill(0);
    im.fill(0);
    const first = Math.round(t * step);
    for (let i = 0; i < length; i++) re[i] = (samples[first + i] ?? 0) * (0.5 - 0.5 * Math.cos(2 * Math.PI * i / length));
    fft(re, im);
    for (let k = 0; k < bins; k++) most = Math.max(most, power[t * bins + k] = Math.log10(re[k] ** 2 + im[k] ** 2 + 1e-12));
  }
  return {columns, bins, power: power.map(value => Math.max(0, 1 + (value - most) / FLOOR))};
}

async function hear(each, said, systems) {
  const sound = bytes(each.sound), player = make('audio', {controls: '', preload: 'metadata'});
  player.src = URL.createObjectURL(new Blob([sound], {type: 'audio/flac'}));
  let samples = null;
  try {
    samples = (await new OfflineAudioContext(1, 1, data.rate_hz).decodeAudioData(sound.buffer.slice(0))).getChannelData(0);
  } catch { /* a browser without FLAC: alignment and senones are drawn all the same */ }
  if (said.parentElement !== one) return; // another utterance was chosen meanwhile
  const canvas = make('canvas', {tabindex: 0, role: 'slider', 'aria-label': 'time in the utterance; arrows move, space plays', 'aria-valuemin': 0});
  const tops = make('div', {id: 'tops', role: 'status'}), strip = make('div', {class: 'time'}, canvas);
  one.append(player, strip, make('p', {class: 'hint'}, 'Point, tap, or use the arrow keys: senones at that time. Space plays.'), tops);
  const phones = [];
  for (const [begin, end, senone] of each.aligned ?? []) {
    const phone = data.inventories[each.inventory][senone].split('.')[0], last = phones.at(-1);
    if (last?.[2] === phone) last[1] = end;
    else phones.push([begin, end, phone]);
  }
  const names = systems.filter(name => each.times[name]);
  const rows = [['said', each.said ?? []], ['phones and senones', phones], ...names.map(name => [name, each.times[name]])].filter(([, row]) => row.length);
  const ends = rows.flatMap(([, row]) => row.map(interval => interval[1]));
  const seconds = samples ? samples.length / data.rate_hz : Math.max(0.1, ...ends);
  const image = samples && spectrogram(samples, data.rate_hz), high = image ? 170 : 0;
  let at = 0;
  canvas.setAttribute('aria-valuemax', seconds.toFixed(2));

  const paint = () => {
    const width = Math.round(Math.max(strip.clientWidth, seconds * 200)), height = high + rows.length * 34, dense = devicePixelRatio || 1;
    const style = getComputedStyle(document.documentElement), get = name => style.getPropertyValue(name).trim();
    canvas.width = width * dense;
    canvas.height = height * dense;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const g = canvas.getContext('2d'), px = second => second / seconds * width;
    g.scale(dense, dense);
    if (image) {
      const dark = matchMedia('(prefers-color-scheme: dark)').matches, pixels = new ImageData(image.columns, image.bins);
      for (let t = 0; t < image.columns; t++) {
        for (let k = 0; k < image.bins; k++) {
          const v = image.power[t * image.bins + k] ** 1.6, place = 4 * ((image.bins - 1 - k) * image.columns + t);
          pixels.data.set(dark ? [20 + 235 * v, 24 + 180 * v * v, 28 + 90 * v ** 3, 255] : [250 - 240 * v, 250 - 215 * v, 252 - 150 * v, 255], place);
        }
      }
      const small = make('canvas', {width: image.columns, height: image.bins});
      small.getContext('2d').putImageData(pixels, 0, 0);
      g.drawImage(small, px(0.0125), 0, px(image.columns * HOP), high);
    }
    g.textBaseline = 'middle';
    rows.forEach(([name, row], number) => {
      const y = high + number * 34;
      g.fillStyle = get('--faint');
      g.font = '10px system-ui, sans-serif';
      g.fillText(name, 3, y + 7);
      const small = row === phones;
      g.font = `${small ? 10 : 12}px system-ui, sans-serif`;
      g.strokeStyle = get('--line');
      for (const [begin, end] of small ? each.aligned : []) g.strokeRect(px(begin), y + 28, px(end - begin), 5);
      for (const [begin, end, text] of row) {
        const room = px(end - begin), wide = Math.min(room - 2, g.measureText(text).width);
        g.strokeRect(px(begin), y + 13, room, 20);
        g.fillStyle = get('--ink');
        if (room > 5) g.fillText(text, px(begin) + (room - wide) / 2, y + (small ? 21 : 24), room - 2);
      }
    });
    g.fillStyle = get('--del');
    g.fillRect(px(at) - 0.5, 0, 1.5, height);
  };

  const move = (second, follow = false) => {
    at = Math.min(seconds, Math.max(0, second));
    canvas.setAttribute('aria-valuenow', at.toFixed(2));
    canvas.setAttribute('aria-valuetext', `${at.toFixed(2)} seconds`);
    if (follow) {
      const x = at / seconds * canvas.clientWidth;
      if (x < strip.scrollLeft || x > strip.scrollLeft + strip.clientWidth) strip.scrollLeft = x - strip.clientWidth / 3;
    }
    const label = (inventory, senone) => data.inventories[inventory][senone];
    const here = (each.aligned ?? []).find(([begin, end]) => begin <= at && at < end);
    const parts = [make('div', {}, `${at.toFixed(2)} s`, make('br'), here ? `aligned: ${label(each.inventory, here[2])}` : '')];
    for (const [name, {inventory, shift, frames}] of Object.entries(each.best)) {
      const rows = bytes(frames), t = Math.min(rows.length / 9 - 1, Math.floor(at / shift)), part = make('div', {}, name);
      for (let k = 0; k < 3; k++) {
        const share = rows[9 * t + 6 + k] / 255, meter = make('meter', {value: share, max: 1, 'aria-hidden': 'true'});
        part.append(make('br'), meter, ` ${(100 * share).toFixed(0)} % ${label(inventory, rows[9 * t + 2 * k] + 256 * rows[9 * t + 2 * k + 1])}`);
      }
      parts.push(part);
    }
    tops.replaceChildren(...parts);
    paint();
  };
  const place = event => move(event.offsetX / canvas.clientWidth * seconds);
  canvas.addEventListener('pointermove', event => player.paused && place(event));
  canvas.addEventListener('click', event => { place(event); player.currentTime = at; });
  canvas.addEventListener('keydown', event => {
    const step = {ArrowRight: HOP, ArrowLeft: -HOP, PageUp: 0.2, PageDown: -0.2, Home: -seconds, End: seconds}[event.key];
    if (!step && event.key !== ' ') return;
    event.preventDefault();
    if (!step) return player.paused ? player.play() : player.pause();
    move(at + step * (event.shiftKey ? 10 : 1), true);
    player.currentTime = at;
  });
  const run = () => { move(player.currentTime, true); if (!player.paused) requestAnimationFrame(run); };
  player.addEventListener('play', run);
  each.paint = paint;
  move(0);
}

function repaint() {
  for (const each of data.utterances) if (each.button?.hasAttribute('aria-current')) each.paint?.();
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
addEventListener('resize', repaint);

for (const part of [results, training, pareto, confidence, confusions, costs]) part();
if (data.utterances.length) {
  for (const each of data.utterances) each.errors = [];
  for (const name of data.decoded) form.system.append(make('option', {}, name));
  form.set.append(make('option', {value: ''}, 'all'), ...unique(data.utterances.map(each => each.set)).map(name => make('option', {}, name)));
  form.system.value = data.main;
  form.addEventListener('input', search);
  form.addEventListener('submit', event => event.preventDefault());
  search();
}
for (const section of document.querySelectorAll('section')) {
  const charts = section.querySelector('.charts');
  if (section.id === 'utterances' ? !data.utterances.length : section.id !== 'results' && !charts.children.length) section.remove();
  else $('nav').append(make('a', {href: `#${section.id}`}, $('h2', section).textContent));
}
document.body.dataset.ready = 'true';
