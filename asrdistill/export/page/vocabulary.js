// Words that are added to a recogniser: what runtime/vocabulary.py, lang/g2p.py, decode/tree.py, lookahead.py and extend.py
// of asrdistill do in Python. Numbers of nodes, leaves and classes are those of Python; docs/internals.md describes the tree.

const POSITIONS = ["_B", "_I", "_E", "_S"]; // of a phone in its word: begin, inside, end, single
const NO_WORDS = ["<eps>", "<s>", "</s>", "#0", "[unk]", "<unk>"];
const UNKNOWN = "<unk>";
const NEVER = -100; // ln P of what only begins sentences, as <s>
const [BEAM, WIDTH, SECOND] = [9, 48, 0.5]; // of the search for pronunciations
const AFTER_SILENCE = 1; // an exit
const [NODE, LINK, LEAF] = [7, 3, 4]; // numbers in a node, a link and a leaf of core.h
const LOOK = 1; // place of the look-ahead class in a node

const root = (phone) => (POSITIONS.includes(phone.slice(-2)) ? phone.slice(0, -2) : phone);
const byNumber = (a, b) => a - b;
const starts = (counts) => {
  const begin = new Int32Array(counts.length + 1);
  counts.forEach((count, k) => (begin[k + 1] = begin[k] + count));
  return begin;
};

/** Words of a text: in each line a word, and its phones if they are given. */
export function readWords(text) {
  const found = {};
  for (const line of text.split("\n")) {
    const [word, ...phones] = line.trim().split(/\s+/);
    if (!word) continue;
    found[word] ??= [];
    if (phones.length) found[word].push(phones.join(" "));
  }
  return found;
}

// ---- pronunciations

/** word -> [[probability, phones], …], the best 1; `words` as for Recogniser.setWords. Throws what Python refuses. */
export function pronounce(r, words) {
  const { adding } = r.settings;
  if (!adding) throw new Error("This recogniser takes no further words.");
  const known = new Set(adding.roots.slice(1));
  const checked = (word, spoken) => {
    const phones = spoken.split(/\s+/).filter(Boolean).map(root);
    const unknown = phones.length ? phones.find((phone) => !known.has(phone)) : "no phone";
    if (unknown) throw new Error(`'${word}' has ${unknown}; the recogniser's phones are ${[...known].sort().join(" ")}.`);
    return phones;
  };
  const placed = (phones) =>
    phones.map((phone, k) => phone + (phones.length === 1 ? "_S" : k === 0 ? "_B" : k === phones.length - 1 ? "_E" : "_I"));
  const positioned = adding.phones.slice(1).every((phone) => POSITIONS.includes(phone.slice(-2)));
  const found = new Map();
  for (const [word, spoken] of Array.isArray(words) ? words.map((word) => [word, null]) : Object.entries(words)) {
    if (!word || /\s|‿/.test(word) || NO_WORDS.includes(word))
      throw new Error(`'${word}' is not a word; give one without spaces, '‿' and the names of symbols.`);
    const given = typeof spoken === "string" ? [spoken] : (spoken ?? []);
    const entries = given.length ? given.map((phones) => [1, checked(word, phones)]) : spell(r, word, new Set(adding.roots));
    entries.forEach(([, phones]) => checked(word, phones.join(" ")));
    const best = Math.max(...entries.map(([probability]) => probability));
    found.set(word, entries.map(([probability, phones]) => [probability / best, positioned ? placed(phones) : phones]));
  }
  return found;
}

/** The best pronunciation by the G2P model, and the second if at least half as probable. */
function spell(r, word, roots) {
  const { g2p } = r.settings;
  const letters = [...word];
  if (!g2p) {
    if (letters.every((letter) => roots.has(letter))) return [[1, letters]];
    throw new Error(`'${word}' cannot be pronounced: the page has no G2P model; give its phones after it.`);
  }
  if (!r.graphones) {
    const table = new Map();
    g2p.graphones.forEach(([chunk], k) => table.set(chunk, [...(table.get(chunk) ?? []), k + 2]));
    r.graphones = { table, letters: new Set(g2p.graphones.flatMap(([chunk]) => [...chunk])) };
    const fields = ["token", "logprob", "backoff", "suffix", "children"].map((name) => r.array(g2p[name]));
    r.graphones.tree = r.copy(Uint32Array.from(fields));
  }
  const { table, letters: known, tree } = r.graphones;
  const strange = letters.find((letter) => !known.has(letter));
  if (strange) throw new Error(`The letter '${strange}' of '${word}' is unknown to G2P; give the word's phones after it.`);
  const tokens = [];
  const begin = [0n];
  letters.forEach((letter, i) => {
    tokens.push(...(table.get(letter) ?? []));
    begin.push(BigInt(tokens.length));
    if (i + 1 < letters.length) tokens.push(...(table.get(letter + letters[i + 1]) ?? []));
    begin.push(BigInt(tokens.length));
  });
  const made = [
    ...[BigInt64Array.from(begin), Int32Array.from(tokens)].map((values) => r.copy(values)),
    ...[8 * WIDTH, 4 * WIDTH * letters.length].map((size) => r.allocate(size)),
  ];
  const how = [made[0], made[1], BEAM, BigInt(WIDTH), made[2], made[3]];
  const count = r.enough(r.core.core_pronounce(tree, BigInt(letters.length), ...how));
  const sums = new Map();
  const scores = Array.from(r.doubles(made[2], count));
  const spelled = Array.from(r.ints(made[3], count * letters.length));
  made.forEach((at) => r.core.free(at));
  scores.forEach((score, k) => {
    const chosen = spelled.slice(k * letters.length, (k + 1) * letters.length).filter((token) => token >= 0);
    const phones = chosen.flatMap((token) => g2p.graphones[token - 2][1]).join(" ");
    if (phones) sums.set(phones, (sums.get(phones) ?? 0) + Math.exp(score - scores[0]));
  });
  if (!sums.size) throw new Error(`G2P has no pronunciation for '${word}'; give its phones after it.`);
  const best = [...sums].sort(([a, p], [b, q]) => q - p || (a < b ? -1 : 1)).slice(0, 2);
  return best.filter(([, share]) => share >= SECOND * best[0][1]).map(([phones, share]) => [share, phones.split(" ")]);
}

// ---- the tree of added words

/** Prefix tree of pronunciations ({phones, …}), breadth first; its root is silence. */
function prefixTree(entries, names) {
  const [phone, above, place] = [[0], [-1], entries.map(() => 0)];
  let roots = 0;
  let open = entries.map((_, k) => k);
  for (let depth = 0; open.length; depth++) {
    const keys = open.map((k) => place[k] * names + entries[k].phones[depth]);
    const different = [...new Set(keys)].sort(byNumber);
    const number = new Map(different.map((key, k) => [key, phone.length + k]));
    open.forEach((k, i) => (place[k] = number.get(keys[i])));
    for (const key of different) {
      above.push(Math.floor(key / names));
      phone.push(key % names);
    }
    roots ||= phone.length - 1;
    open = open.filter((k) => entries[k].phones.length > depth + 1);
  }
  const order = entries.map((_, k) => k).sort((a, b) => place[a] - place[b] || a - b);
  const leaves = phone.map(() => 0);
  for (const k of place) leaves[k]++;
  leaves[0] = 1; // silence's
  const followers = phone.map(() => 0);
  for (const q of above.slice(1)) followers[q]++;
  const [look, parent] = [[0], [-1]];
  for (let q = 1; q < phone.length; q++) {
    const higher = above[q];
    if (higher && followers[higher] === 1 && !leaves[higher]) look.push(look[higher]);
    else {
      look.push(parent.length);
      parent.push(look[higher]);
    }
  }
  const leaf = [{ word: -1, token: -1, logprob: 0, look: 0 }];
  for (const k of order) leaf.push({ ...entries[k], look: look[place[k]] });
  return { phone, above, roots, look, parent, leaf, leafBegin: starts(leaves) };
}

/** The states of a phone, from last to first, into `made` (key -> number); returns the first ones.
 *  follow: sequence of senones -> classes to the right; exits: sequence -> exit; ~k stands for phones of class k. */
function chains(follow, exits, made, subsampling) {
  const state = (...fields) => {
    const key = JSON.stringify(fields);
    if (!made.has(key)) made.set(key, made.size);
    return made.get(key);
  };
  let after = new Map();
  for (const key of [...follow.keys(), ...exits.keys()]) after.set(key, (follow.get(key) ?? []).map((right) => ~right));
  while (!after.has("")) {
    const before = new Map();
    for (const [key, states] of after) {
      const sequence = key.split(" ");
      const exit = exits.get(key) ?? -1;
      let last = state(Number(sequence.pop()), states, exit, -1);
      if (sequence.length === 1 && subsampling > 1) last = state(Number(sequence.pop()), states, exit, last);
      const rest = sequence.join(" ");
      if (!before.has(rest)) before.set(rest, []);
      before.get(rest).push(last);
    }
    after = before;
  }
  return after.get("");
}

/** The tree of pronunciations; exits are numbers that `exitOf(left class, right classes, pause)` gives. */
function buildTree(r, entries, exitOf) {
  const { adding, subsampling } = r.settings;
  const { phones: names, contexts, lengths } = adding;
  const table = r.values(adding.table);
  const classes = Math.max(...contexts) + 1;
  const most = Math.max(...lengths);
  const tree = prefixTree(entries, names.length);
  const { phone, above, look, leafBegin } = tree;
  const silence = contexts[0];
  const free = names.slice(1).some((name) => !POSITIONS.includes(name.slice(-2)));
  const between = (ends) => {
    const chosen = contexts.filter((_, k) => k > 0 && (free || ends.includes(names[k].slice(-2))));
    return [...new Set([silence, ...chosen])].sort(byNumber);
  };
  const [before, following] = [between(["_E", "_S"]), between(["_B", "_S"])];
  const split = (number, left, rights) => {
    const found = new Map();
    for (const right of rights) {
      const at = ((number * classes + left) * classes + right) * most;
      const key = table.subarray(at, at + lengths[number]).join(" ");
      found.set(key, [...(found.get(key) ?? []), right]);
    }
    return found;
  };
  const below = phone.map(() => []);
  for (let q = 1; q < phone.length; q++) below[above[q]].push(q);
  const [node, last, entry] = [[], [], []]; // last: [node, class after it] of each phone; entry: class before -> first nodes
  const mapped = (values, change) => new Map([...values].map(([key, value]) => [key, change(value)]));
  for (let q = 0; q < phone.length; q++) {
    const made = new Map();
    const begins = new Map();
    const rights = [...new Set(below[q].map((p) => contexts[phone[p]]))].sort(byNumber);
    const ends = leafBegin[q + 1] > leafBegin[q];
    for (const left of q === 0 ? [silence] : above[q] > 0 ? [contexts[phone[above[q]]]] : before) {
      let [follow, exits] = [new Map([[adding.silence.join(" "), []]]), new Map([[adding.silence.join(" "), AFTER_SILENCE]])];
      if (q > 0) {
        follow = split(phone[q], left, rights);
        const after = ends ? split(phone[q], left, following) : new Map();
        exits = mapped(after, (open) => exitOf(contexts[phone[q]], open, open.includes(silence)));
      }
      begins.set(left, chains(follow, exits, made, subsampling));
    }
    const [first, end] = [node.length, node.length + made.size - 1];
    const [begin, finish] = [leafBegin[q], leafBegin[q + 1]];
    last.push([]);
    for (const key of [...made.keys()].reverse()) {
      const [senone, after, exit, rest] = JSON.parse(key);
      const at = node.length;
      const inside = after.filter((k) => k >= 0).map((k) => end - k);
      last[q].push(...after.filter((k) => k < 0).map((k) => [at, ~k]));
      const leaves = exit >= 0 ? [begin, finish] : [0, 0];
      node.push({ senone, look: look[q], exit, leaves, stay: rest < 0 ? at : end - rest, children: inside });
    }
    entry.push(mapped(begins, (states) => states.map((k) => end - k)));
    if (q > tree.roots) {
      const firsts = [...new Set([...entry[q].values()].flat())];
      for (const [at, right] of last[above[q]]) if (right === contexts[phone[q]]) node[at].children.push(...firsts);
    }
    if (node.length === first) throw new Error("The page's model is damaged; export it again.");
  }
  for (const { children } of node) children.sort(byNumber);
  const rootNodes = []; // of each root: its class, and class before -> first nodes
  for (let q = 1; q <= tree.roots; q++) rootNodes.push([contexts[phone[q]], entry[q]]);
  return { ...tree, node, rootNodes, following, silence };
}

// ---- both trees in one

/** A search graph with more words, as Recogniser.graph; `spoken`: what `pronounce` gave. */
export function extend(r, base, spoken) {
  const { settings } = r;
  const { adding } = settings;
  const own = settings.graph;
  const made = []; // addresses of what is freed with the graph
  const copy = (values) => {
    made.push(r.copy(values));
    return made.at(-1);
  };

  // words and their tokens
  const number = new Map(base.words.map((word, k) => [word, k]));
  const words = base.words.concat([...spoken.keys()].filter((word) => !number.has(word)));
  words.slice(base.words.length).forEach((word, k) => number.set(word, base.words.length + k));
  const leaf = r.values(own.leaf).slice();
  const known = new Map();
  for (let at = 0; at < leaf.length; at += LEAF) if (leaf[at] >= 0) known.set(leaf[at], leaf[at + 1]);
  const tokens = new Map();
  for (const word of spoken.keys()) {
    const token = known.get(number.get(word)) ?? (Object.hasOwn(adding.unspoken, word) ? adding.unspoken[word] : undefined);
    if (token !== undefined) tokens.set(word, token);
  }
  let unknown = adding.unspoken[UNKNOWN];
  const shares = unknown === undefined ? 1 : Math.max(1, spoken.size - tokens.size);
  let grammar = located(r, "grammar", own.grammar);
  if (tokens.size < spoken.size && unknown === undefined)
    [grammar, unknown] = withUnknown(r, own.grammar, grammar, copy);
  const phoneNumber = new Map(adding.phones.map((phone, k) => [phone, k]));
  const entries = [...spoken.keys()].sort().flatMap((word) =>
    spoken.get(word).map(([probability, phones]) => ({
      word: number.get(word),
      token: tokens.get(word) ?? unknown,
      logprob: Math.fround(Math.log(probability / (tokens.has(word) ? 1 : shares))),
      phones: phones.map((phone) => phoneNumber.get(phone)),
    })),
  );

  // exits: those of the first tree, and more where it lacks a context
  const [left, rightBegin, right] = ["exit_left", "right_begin", "right"].map((name) => r.values(adding[name]));
  const pause = Array.from(r.values(own.pause, Uint8Array));
  const keys = pause.map((may, k) => [left[k], Array.from(right.subarray(rightBegin[k], rightBegin[k + 1])), may > 0]);
  const places = new Map(keys.map((key, k) => [JSON.stringify(key), k]));
  const exits = keys.length;
  const added = buildTree(r, entries, (...key) => {
    const name = JSON.stringify(key);
    if (!places.has(name)) {
      places.set(name, keys.length);
      keys.push(key);
      pause.push(key[2] ? 1 : 0);
    }
    return places.get(name);
  });

  // nodes, links and leaves of the second follow those of the first
  const [nodes, classes, leaves] = [own.nodes, own.look.classes, leaf.length / LEAF];
  const firstNode = r.values(own.node);
  const firstChild = r.values(own.child);
  const children = starts(added.node.map((one) => one.children.length));
  const node = new Int32Array(NODE * (nodes + added.node.length + 1));
  node.set(firstNode.subarray(0, NODE * nodes));
  added.node.forEach(({ senone, look, exit, leaves: [begin, end], stay }, k) => {
    const links = firstChild.length / LINK + children[k];
    node.set([senone, look + classes, links, exit, begin + leaves, end + leaves, stay + nodes], NODE * (nodes + k));
  });
  const total = firstChild.length / LINK + children.at(-1);
  node.set([0, classes, total, 0, leaves, leaves, nodes], node.length - NODE); // of the last, only `first` counts
  const link = (at) => [at, node[NODE * at], node[NODE * at + LOOK]];
  const child = new Int32Array(LINK * total);
  child.set(firstChild);
  added.node.forEach((one, k) => {
    const at = firstChild.length + LINK * children[k];
    one.children.forEach((to, i) => child.set(link(to + nodes), at + LINK * i));
  });
  const leafOf = (list, offset) => {
    const values = new Int32Array(LEAF * list.length);
    const logprobs = new Float32Array(values.buffer);
    list.forEach(({ word, token, logprob, look }, k) => {
      values.set([word, token, 0, look + offset], LEAF * k);
      logprobs[LEAF * k + 2] = logprob;
    });
    return values;
  };

  // what a word may begin with after each exit
  const [rootClass, rootBegin, rootNode] = ["root_class", "root_begin", "root_node"].map((name) => r.values(adding[name]));
  const perRoot = rootClass.length ? (rootBegin.length - 1) / rootClass.length : 0;
  const [entryBegin, firstEntry] = [r.values(own.entry_begin), r.values(own.entry)];
  const entry = [];
  const entryCount = keys.map(([before, rights], k) => {
    const first = entry.length;
    for (let at = LINK * entryBegin[k]; k < exits && at < LINK * entryBegin[k + 1]; at += LINK) entry.push(firstEntry[at]);
    if (k >= exits)
      rootClass.forEach((own, root) => {
        const row = root * perRoot + before;
        if (rights.includes(own)) entry.push(...rootNode.subarray(rootBegin[row], rootBegin[row + 1]));
      });
    for (const [own, firsts] of added.rootNodes)
      if (rights.includes(own)) entry.push(...(firsts.get(before) ?? []).map((at) => at + nodes));
    return entry.length - first;
  });
  const entryLinks = new Int32Array(LINK * entry.length);
  entry.forEach((at, k) => entryLinks.set(link(at), LINK * k));
  const initial = [...new Set(entry.map((at) => node[NODE * at]))].sort(byNumber);

  // which senones follow which
  const senones = settings.senones;
  const pairs = new Set();
  const [begin, target] = [r.values(own.begin), r.values(own.target)];
  for (let s = 0; s < senones; s++) for (let k = begin[s]; k < begin[s + 1]; k++) pairs.add(s * senones + target[k]);
  const ends = new Set(r.values(own.end));
  const finals = new Set(r.values(own.final));
  const [firstOnce, firstRest] = [r.values(own.once), r.values(own.rest)];
  const onces = new Set(Array.from(firstOnce, (senone, k) => senone * senones + firstRest[k]));
  for (const { senone, exit, stay, children: after } of added.node) {
    for (const to of after) pairs.add(senone * senones + added.node[to].senone);
    if (exit >= 0) ends.add(senone);
    if (exit >= 0 && (pause[exit] || exit === AFTER_SILENCE)) finals.add(senone);
    if (added.node[stay].senone !== senone) onces.add(senone * senones + added.node[stay].senone);
  }
  const sorted = (values) => Int32Array.from([...values].sort(byNumber));
  const pair = sorted(pairs);
  const follows = new Array(senones).fill(0);
  pair.forEach((key) => follows[Math.floor(key / senones)]++);
  const once = sorted(onces);
  const start = new Set([...initial, firstNode[0]]);

  // look-ahead of the language model
  const unknownLook = new Float32Array(added.parent.length).fill(-Infinity);
  const others = [];
  for (const one of added.leaf) {
    if (one.token !== unknown && one.token >= 0) others.push(one);
    for (let at = one.look; one.token === unknown && at >= 0 && unknownLook[at] < one.logprob; at = added.parent[at])
      unknownLook[at] = one.logprob;
  }
  const allLeaves = new Int32Array(leaf.length + LEAF * added.leaf.length);
  allLeaves.set(leaf);
  allLeaves.set(leafOf(added.leaf, classes), leaf.length);

  // all is computed; from here on memory is allocated
  const values = located(r, "graph", own);
  const at = r.allocate(r.layout("graph").size);
  made.push(at);
  Object.assign(values, {
    grammar,
    nodes: nodes + added.node.length,
    more_roots: added.roots,
    unknown_token: unknown ?? 0,
    unknown: copy(unknownLook),
    node: copy(node),
    child: copy(child),
    leaf: copy(allLeaves),
    entry_begin: copy(starts(entryCount)),
    entry: copy(entryLinks),
    initial: copy(Int32Array.from(initial)),
    pause: copy(Uint8Array.from(pause)),
    begin: copy(starts(follows)),
    target: copy(pair.map((key) => key % senones)),
    start: copy(sorted(start)),
    end: copy(sorted(ends)),
    final: copy(sorted(finals)),
    once: copy(once.map((key) => Math.floor(key / senones))),
    rest: copy(once.map((key) => key % senones)),
    ...{ initials: initial.length, starts: start.size, ends: ends.size, finals: finals.size, onces: once.length },
  });
  r.write(at, "graph", values);
  const look = lookahead(r, at, grammar, added.parent, others, leafOf, copy);
  r.write(at, "graph", { ...values, more: look.values });
  return { at, leaf: values.leaf, words, made, entries: look.entries, users: 0 };
}

/** Fields of a struct of the settings, with addresses for numbers of arrays. */
function located(r, name, values) {
  const fields = r.layout(name).fields.map(([field, kind]) => {
    if (kind === "ptr") return [field, r.array(values[field])];
    return [field, r.settings.layouts[kind] ? located(r, kind, values[field]) : values[field]];
  });
  return Object.fromEntries(fields);
}

/** The language model with one more token, as probable as its rarest word, and that token. */
function withUnknown(r, own, grammar, copy) {
  const begin = r.values(own.arc_begin, BigInt64Array).map((first, k) => (k ? first + 1n : first));
  const place = Number(begin[1]) - 1;
  const inserted = (values, value) => {
    const longer = new values.constructor(values.length + 1);
    longer.set(values.subarray(0, place));
    longer[place] = value;
    longer.set(values.subarray(place), place + 1);
    return longer;
  };
  const logprob = r.values(own.arc_logprob, Float32Array);
  const rarest = logprob.subarray(0, place).reduce((least, value) => (value > NEVER && value < least ? value : least), 0);
  const arrays = {
    arc_begin: begin,
    arc_token: inserted(r.values(own.arc_token), place),
    arc_logprob: inserted(logprob, rarest),
    arc_next: inserted(r.values(own.arc_next), 0),
  };
  const places = Object.entries(arrays).map(([name, values]) => [name, copy(values)]);
  return [{ ...grammar, ...Object.fromEntries(places) }, place];
}

/** Look-ahead of added words that have tokens of their own: {values: of core_look, entries: to be freed}.
 *  The graph begins with the language model. */
function lookahead(r, graph, grammar, parent, leaves, leafOf, copy) {
  const base = copy(new Float32Array(parent.length).fill(-Infinity));
  const begin = copy(new BigInt64Array(grammar.states + 1));
  const values = { classes: parent.length, begin, node: 0, value: 0, base };
  if (!leaves.length) return { values, entries: 0 };
  leaves.sort((a, b) => a.token - b.token);
  const last = Number(r.bigs(grammar.arc_begin, 2)[1]);
  const first = new BigInt64Array(last + 1);
  for (let token = 0, k = 0; token <= last; token++) {
    while (k < leaves.length && leaves[k].token < token) k++;
    first[token] = BigInt(k);
  }
  const passing = [Int32Array.from(parent), first, leafOf(leaves, 0)].map((values) => r.copy(values));
  const entries = r.core.core_look_build(graph, BigInt(parent.length), ...passing, begin, base) >>> 0;
  passing.forEach((at) => r.core.free(at));
  if (!entries) throw new Error("The browser does not give enough memory; add fewer words.");
  [values.node, values.value] = Array.from(r.ints(entries + 16, 2), (at) => at >>> 0); // of core_entries
  return { values, entries };
}
