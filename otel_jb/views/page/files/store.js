// SPDX-License-Identifier: Apache-2.0
// What the agent sent: the rows of each table as they are now, and what they were in the last minutes.

const KEPT = 360; // readings: six minutes at one a second
const GAP_MS = 25000; // without a reading for longer than this, a line is not drawn through
const PROCESS = { name: 0, pid: 1, functions: 2, calls: 3, callsRate: 4, cpu: 5, waited: 6, throttled: 7, udpDrops: 8, overhead: 9, service: 10, executable: 11, attached: 12, ended: 13 };
const FUNCTION = { calls: 0, callsRate: 1, p50: 2, p99: 3, bytesRate: 4, packets: 5, drops: 6, depth: 7, reasons: 8, outcomes: 9, sum: 10, bytes: 11, slow: 12, lostEvents: 13, ended: 14, added: 15 };
const KNOWN = { target: 0, function: 1, role: 2, primary: 3, profile: 4, strategy: 5, reason: 6, file: 7, absent: 8 };
const STREAM = { target: 0, series: 1, name: 2, ssrc: 3, packets: 4, packetsRate: 5, bytesRate: 6, lost: 7, reordered: 8, duplicated: 9, jitter: 10, ended: 11 };
const PROBE = { target: 0, function: 1, state: 2, strategy: 3, reason: 4, profile: 5, file: 6, series: 7 };
const VERDICT = { culprit: 0, findings: 1, missing: 2, seconds: 3, more: 4 };
const SLOW = { series: 0, at: 1, took: 2, thread: 3, stack: 4, trace: 5, inside: 6, size: 7, failed: 8, packets: 9, missing: 10, share: 11, mayYield: 12 };
const PACKET = { line: 0, after: 1, number: 2, time: 3, ssrc: 4, order: 5, late: 6, outcome: 7, stayed: 8 };
const FINDING = { sentence: 0, culprit: 1, limit: 2, since: 3, stream: 4 };

const store = {
  head: {},
  processes: new Map(),
  functions: new Map(),
  known: new Map(),
  streams: new Map(),
  probes: new Map(),
  verdicts: new Map(),
  slow: new Map(),
  stacks: new Map(),
  buckets: new Map(), // cumulative, by function
  past: new Map(), // readings by "f" + function or "s" + stream
};
const TABLES = ["processes", "functions", "known", "streams", "probes", "verdicts", "slow", "stacks"];

/** Take everything; what was kept of rows that are still there goes on. */
function takeWhole(message) {
  store.head = message.head;
  for (const name of TABLES) store[name] = new Map(Object.entries(message.tables[name] || {}));
  const more = new Map();
  for (const [key, sparse] of Object.entries(message.buckets)) {
    const now = dense(sparse);
    const before = store.buckets.get(key);
    more.set(key, before ? subtract(now, before) : null);
    store.buckets.set(key, now);
  }
  remember(more);
}

/** Take what changed. */
function takeChange(message) {
  Object.assign(store.head, message.head);
  for (const [name, [put, gone]] of Object.entries(message.tables)) {
    for (const key of gone) store[name].delete(key);
    for (const [key, row] of Object.entries(put)) store[name].set(key, row);
  }
  const more = new Map();
  for (const [key, sparse] of Object.entries(message.buckets)) {
    const counts = dense(sparse);
    const kept = store.buckets.get(key);
    if (kept) for (let place = 0; place < counts.length; place++) kept[place] += counts[place];
    else store.buckets.set(key, counts.slice());
    more.set(key, counts);
  }
  remember(more);
}

function dense(sparse) {
  const counts = new Array((store.head.bounds_ns || []).length + 1).fill(0);
  for (let at = 0; at < sparse.length; at += 2) counts[sparse[at]] = sparse[at + 1];
  return counts;
}

function subtract(now, before) {
  return now.map((count, place) => Math.max(0, count - (before[place] || 0)));
}

/** One reading more of every row. `more`: calls since the last one, by function and bucket. */
function remember(more) {
  const at = store.head.read_ms || Date.now();
  const present = new Set();
  for (const [key, row] of store.functions) {
    const past = pastOf("f" + key, present);
    if (past.at[past.at.length - 1] === at) continue;
    push(past, { at, calls: row[FUNCTION.calls], depth: row[FUNCTION.depth], drops: row[FUNCTION.drops], more: more.get(key) || null });
  }
  for (const [key, row] of store.streams) {
    const past = pastOf("s" + key, present);
    if (past.at[past.at.length - 1] === at) continue;
    push(past, { at, packets: row[STREAM.packets], lost: row[STREAM.lost], reordered: row[STREAM.reordered], duplicated: row[STREAM.duplicated], jitter: row[STREAM.jitter] });
  }
  for (const key of store.past.keys()) if (!present.has(key)) store.past.delete(key);
  for (const key of store.buckets.keys()) if (!store.functions.has(key)) store.buckets.delete(key);
}

function pastOf(key, present) {
  present.add(key);
  let past = store.past.get(key);
  if (!past) store.past.set(key, (past = { at: [] }));
  return past;
}

function push(past, values) {
  for (const name in values) {
    const kept = past[name] || (past[name] = []);
    kept.push(values[name]);
    if (kept.length > KEPT) kept.shift();
  }
}

/** A cumulative count as a rate per second from reading to reading; null where there is none. */
function rates(past, name) {
  const values = past[name] || [];
  return values.map((value, place) => {
    const seconds = place ? (past.at[place] - past.at[place - 1]) / 1000 : 0;
    if (!place || value === null || values[place - 1] === null || seconds <= 0 || seconds * 1000 > GAP_MS) return null;
    return (Number(value) - Number(values[place - 1])) / seconds;
  });
}

/** The upper bounds in ns of the buckets that hold these shares of the calls of ten seconds, at each reading: a list for each share. */
function percentiles(past, shares) {
  const bounds = store.head.bounds_ns || [];
  const values = shares.map(() => []);
  const counts = new Array(bounds.length + 1).fill(0); // of the ten seconds, which slide
  const add = (more, factor) => {
    if (more) for (let bucket = 0; bucket < more.length; bucket++) counts[bucket] += factor * more[bucket];
  };
  let first = 0;
  for (let place = 0; place < past.at.length; place++) {
    add(past.more[place], 1);
    while (past.at[first] <= past.at[place] - 10000) add(past.more[first++], -1);
    shares.forEach((share, line) => values[line].push(bucketOf(counts, bounds, share)));
  }
  return values;
}

function bucketOf(counts, bounds, share) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (!total) return null;
  let reached = 0;
  for (let place = 0; place < counts.length; place++) {
    reached += counts[place];
    if (reached >= share * total) return place < bounds.length ? bounds[place] : -1;
  }
  return -1;
}

function processName(number) {
  const row = store.processes.get(String(number));
  return row ? `${row[PROCESS.name]}[${row[PROCESS.pid]}]` : NONE;
}

/** The lines of a slow call's stack. */
function stackOf(row) {
  return (store.stacks.get(row[SLOW.stack]) || [""])[0];
}

function functionName(key) {
  const row = store.known.get(String(key));
  return row ? row[KNOWN.function] : NONE;
}
