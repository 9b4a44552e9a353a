// SPDX-License-Identifier: Apache-2.0
// The views: each makes its elements once, when it is opened, and fills them at each update.

const VIEWS = [
  ["", "Overview", overview],
  ["functions", "Functions", functions],
  ["streams", "Streams", streams],
  ["slow", "Slow calls", slowCalls],
  ["probes", "Probes", probes],
  ["gaps", "Not measured", gaps],
];
const OPENED = { function: oneFunction, stream: oneStream, "slow-call": oneSlowCall };
const CULPRITS = { network: "network", host: "host", application: "server" };

const FINDINGS_AT_ONCE = 20;

/** The address of a row's own view. */
function addressOf(kind, key) {
  return `#/${kind}/${encodeURIComponent(key)}`;
}

function processTable(options) {
  return makeTable(
    "Processes",
    [
      { id: "name", title: "process", kind: "text", text: (row) => `${row[PROCESS.name]}[${row[PROCESS.pid]}]${row[PROCESS.ended] ? " (ended)" : ""}` },
      { id: "verdict", title: "verdict", kind: "text", text: (_, key) => verdictText(key), alarm: (_, key) => (store.verdicts.get(key) || [])[VERDICT.culprit] },
      { id: "functions", title: "functions", minor: 2, text: (row) => whole(row[PROCESS.functions]), sort: (row) => order(row[PROCESS.functions]) },
      { id: "calls", title: "calls", minor: 2, text: (row) => whole(row[PROCESS.calls]), sort: (row) => order(row[PROCESS.calls]) },
      { id: "rate", title: "calls/s", text: (row) => rate(row[PROCESS.callsRate]), sort: (row) => order(row[PROCESS.callsRate]) },
      { id: "cpu", title: "CPU", minor: 1, text: (row) => percent(row[PROCESS.cpu]), sort: (row) => order(row[PROCESS.cpu]) },
      { id: "waited", title: "waited", minor: 2, text: (row) => percent(row[PROCESS.waited]), sort: (row) => order(row[PROCESS.waited]) },
      { id: "throttled", title: "throttled", minor: 2, text: (row) => percent(row[PROCESS.throttled]), sort: (row) => order(row[PROCESS.throttled]) },
      { id: "udp", title: "UDP drops", minor: 1, text: (row) => whole(row[PROCESS.udpDrops]), sort: (row) => order(row[PROCESS.udpDrops]), alarm: (row) => order(row[PROCESS.udpDrops]) > 0 },
      { id: "overhead", title: "probes' CPU", minor: 1, text: (row) => percent(row[PROCESS.overhead]), sort: (row) => order(row[PROCESS.overhead]) },
    ],
    { ended: (row) => row[PROCESS.ended], empty: "No process is measured yet", ...options },
  );
}

function verdictText(key) {
  const verdict = store.verdicts.get(key);
  if (!verdict) return NONE;
  if (!verdict[VERDICT.culprit]) return verdict[VERDICT.seconds] ? "nothing over a limit" : "not yet known";
  return [...new Set(verdict[VERDICT.findings].map((each) => CULPRITS[each[FINDING.culprit]]))].join(", ");
}

function functionTable() {
  const of = (key) => store.known.get(key) || [];
  return makeTable(
    "Functions",
    [
      { id: "function", title: "function", kind: "text", text: (_, key) => of(key)[KNOWN.function], link: (key) => addressOf("function", key) },
      { id: "process", title: "process", kind: "text", minor: 1, text: (_, key) => processName(of(key)[KNOWN.target]) },
      { id: "role", title: "role", kind: "text", minor: 2, text: (_, key) => of(key)[KNOWN.role] },
      { id: "rate", title: "calls/s", text: (row) => rate(row[FUNCTION.callsRate]), sort: (row) => order(row[FUNCTION.callsRate]) },
      { id: "p50", title: "p50", minor: 2, text: (row) => atMost(row[FUNCTION.p50]), sort: (row) => bound(row[FUNCTION.p50]) },
      { id: "p99", title: "p99", text: (row) => atMost(row[FUNCTION.p99]), sort: (row) => bound(row[FUNCTION.p99]) },
      { id: "bytes", title: "bytes/s", minor: 2, text: (row) => rate(row[FUNCTION.bytesRate]), sort: (row) => order(row[FUNCTION.bytesRate]) },
      { id: "calls", title: "calls", minor: 2, text: (row) => whole(row[FUNCTION.calls]), sort: (row) => order(row[FUNCTION.calls]) },
      { id: "packets", title: "packets", minor: 1, text: (row) => whole(row[FUNCTION.packets]), sort: (row) => order(row[FUNCTION.packets]) },
      { id: "drops", title: "drops", text: (row) => whole(row[FUNCTION.drops]), sort: (row) => order(row[FUNCTION.drops]), alarm: (row) => order(row[FUNCTION.drops]) > 0 },
      { id: "depth", title: "depth", minor: 1, text: (row) => whole(row[FUNCTION.depth]), sort: (row) => order(row[FUNCTION.depth]) },
    ],
    { ended: (row) => row[FUNCTION.ended], empty: "No function is measured yet" },
  );
}

/** Beyond the last bound is more than any. */
function bound(value) {
  return value === null || value === undefined ? -Infinity : value < 0 ? Infinity : value;
}

function streamTable() {
  return makeTable(
    "RTP streams",
    [
      { id: "stream", title: "stream", kind: "text", text: (row) => row[STREAM.name], link: (key) => addressOf("stream", key) },
      { id: "process", title: "process", kind: "text", minor: 1, text: (row) => processName(row[STREAM.target]) },
      { id: "function", title: "function", kind: "text", minor: 2, text: (row) => functionName(row[STREAM.series]) },
      { id: "rate", title: "packets/s", text: (row) => rate(row[STREAM.packetsRate]), sort: (row) => order(row[STREAM.packetsRate]) },
      { id: "bytes", title: "bytes/s", minor: 2, text: (row) => rate(row[STREAM.bytesRate]), sort: (row) => order(row[STREAM.bytesRate]) },
      { id: "packets", title: "packets", minor: 1, text: (row) => whole(row[STREAM.packets]), sort: (row) => order(row[STREAM.packets]) },
      { id: "lost", title: "lost", text: (row) => whole(row[STREAM.lost]), sort: (row) => order(row[STREAM.lost]), alarm: (row) => order(row[STREAM.lost]) > 0 },
      { id: "reordered", title: "reordered", minor: 2, text: (row) => whole(row[STREAM.reordered]), sort: (row) => order(row[STREAM.reordered]) },
      { id: "duplicated", title: "duplicated", minor: 2, text: (row) => whole(row[STREAM.duplicated]), sort: (row) => order(row[STREAM.duplicated]) },
      { id: "jitter", title: "jitter", text: (row) => duration(row[STREAM.jitter]), sort: (row) => order(row[STREAM.jitter]) },
    ],
    { by: "lost", ended: (row) => row[STREAM.ended], empty: "No RTP stream has been seen yet" },
  );
}

function overview(main) {
  const tiles = make("ul", { class: "tiles" });
  const findings = make("ul", { class: "findings" });
  const unknown = make("ul", {});
  const details = make("details", {}, make("summary", {}, "What is not known of them"), unknown);
  const processes = processTable();
  main.append(make("h1", {}, "Overview"), tiles, make("h2", {}, "Verdict"), findings, details, make("h2", {}, "Processes"), processes.element);
  return () => {
    const live = [...store.processes.values()].filter((row) => !row[PROCESS.ended]);
    const unmeasured = (store.head.counts || []).filter(([state]) => state === "unmeasurable").reduce((sum, each) => sum + each[2], 0);
    fillTiles(tiles, [
      ["processes", whole(live.length)],
      ["functions", whole(store.functions.size)],
      ["RTP streams", whole(store.streams.size)],
      ["calls/s", rate(live.reduce((sum, row) => sum + (row[PROCESS.callsRate] || 0), 0))],
      ["slow calls kept", whole(store.slow.size)],
      ["not measurable", whole(unmeasured)],
    ]);
    const found = [];
    let more = 0;
    for (const [key, verdict] of store.verdicts) {
      for (const each of verdict[VERDICT.findings]) found.push([processName(key), each]);
      more += verdict[VERDICT.more];
    }
    more += found.splice(FINDINGS_AT_ONCE).length;
    const seconds = Math.max(0, ...[...store.verdicts.values()].map((verdict) => verdict[VERDICT.seconds]));
    const lines = found.map(([process, each]) => `${process}, ${CULPRITS[each[FINDING.culprit]]}: ${each[FINDING.sentence]} (limit ${each[FINDING.limit]}), since ${clock(each[FINDING.since])}`);
    if (more) lines.push(`and ${whole(more)} more of this kind; the tables below and of the streams show them`);
    const fine = store.verdicts.size ? (seconds ? `Nothing that could be seen is over a limit in ${seconds} s` : "Looking for evidence …") : "Nothing is measured yet";
    fillList(findings, lines.length ? lines : [fine], lines.length ? null : "fine");
    const missing = [];
    for (const [key, verdict] of store.verdicts) for (const each of verdict[VERDICT.missing]) missing.push(`${processName(key)}: ${each}`);
    details.hidden = !missing.length;
    fillList(unknown, missing, null);
    processes.update(store.processes);
  };
}

function fillTiles(list, pairs) {
  if (list.childElementCount !== pairs.length) list.replaceChildren(...pairs.map(([name]) => make("li", { "data-tile": name }, make("b", {}), name)));
  pairs.forEach(([, value], place) => setText(list.children[place].firstElementChild, value));
}

function fillList(list, lines, css) {
  if (list.dataset.lines === lines.join("\n")) return;
  list.dataset.lines = lines.join("\n");
  list.replaceChildren(...lines.map((line) => make("li", { class: css }, line)));
}

function functions(main) {
  const table = functionTable();
  main.append(make("h1", {}, "Functions"), table.element);
  return () => table.update(store.functions);
}

function streams(main) {
  const table = streamTable();
  main.append(make("h1", {}, "RTP streams"), table.element);
  return () => table.update(store.streams);
}

function oneFunction(main, key) {
  const title = make("h1", {}, functionName(key));
  const facts = makeFacts();
  const probe = makeFacts("long");
  const heat = heatChart("Calls by duration");
  const quantiles = lineChart("Percentiles of the last 10 seconds");
  const calls = lineChart("Calls per second");
  const depth = lineChart("Packets held");
  const drops = lineChart("Drops per second");
  const own = streamTable();
  const slow = slowTable();
  main.append(title, facts.element, make("h2", {}, "Over time"), make("div", { class: "charts" }, heat.element, quantiles.element, calls.element, depth.element, drops.element));
  main.append(make("h2", {}, "Slow calls"), slow.element, make("h2", {}, "RTP streams"), own.element);
  main.append(make("h2", {}, "How it is measured"), probe.element);
  return () => {
    const row = store.functions.get(key), known = store.known.get(key), past = store.past.get("f" + key);
    if (!row || !known || !past) return setText(title, "This function is not measured any more");
    setText(title, known[KNOWN.function]);
    const [returned, abandoned, missed, untimed] = row[FUNCTION.outcomes];
    facts.update([
      ["process", processName(known[KNOWN.target])],
      ["calls", whole(row[FUNCTION.calls])],
      ["returned", whole(returned)],
      ["abandoned, missed, untimed", [abandoned, missed, untimed].map(whole).join(", ")],
      ["mean", order(returned) > 0 && !known[KNOWN.absent].includes("time of a call") ? duration(Number(row[FUNCTION.sum]) / Number(returned)) : NONE],
      ["p50, p99 of the last 10 s", `${atMost(row[FUNCTION.p50])}, ${atMost(row[FUNCTION.p99])}`],
      ["packets", whole(row[FUNCTION.packets])],
      ["bytes", whole(row[FUNCTION.bytes])],
      ["drops", row[FUNCTION.reasons].map(([reason, count]) => `${reason} ${whole(count)}`).join(", ") || NONE],
      ...row[FUNCTION.added].map(([name, unit, value]) => [name, `${Number.isInteger(value) ? whole(value) : value.toFixed(3)} ${unit}`]),
      ["packets held", whole(row[FUNCTION.depth])],
      ["over the threshold", whole(row[FUNCTION.slow])],
    ]);
    probe.update([
      ["role", known[KNOWN.role] + (known[KNOWN.primary] ? ", the primary one" : "")],
      ["probe", `${known[KNOWN.strategy]}: ${known[KNOWN.reason]}`],
      ["profile, file", `${known[KNOWN.profile]}, ${known[KNOWN.file]}`],
      ["not known of it", known[KNOWN.absent].join(", ") || "nothing"],
    ]);
    const at = past.at;
    heat.update({ at, more: past.more, bounds: store.head.bounds_ns || [] });
    const share = [["p50", 0.5, "--c4"], ["p90", 0.9, "--c1"], ["p99", 0.99, "--c2"], ["p99.9", 0.999, "--c3"]];
    const found = percentiles(past, share.map(([, of]) => of));
    quantiles.update({ at, log: true, format: duration, say: atMost, lines: share.map(([name, , colour], place) => ({ name, colour, values: found[place] })) });
    calls.update({ at, format: rate, lines: [{ name: "calls/s", colour: "--c1", values: rates(past, "calls") }] });
    depth.element.hidden = row[FUNCTION.depth] === null;
    if (!depth.element.hidden) depth.update({ at, format: rate, say: whole, lines: [{ name: "packets", colour: "--c4", values: past.depth }] });
    drops.element.hidden = row[FUNCTION.drops] === null;
    if (!drops.element.hidden) drops.update({ at, format: rate, lines: [{ name: "drops/s", colour: "--c2", values: rates(past, "drops") }] });
    slow.update(store.slow, (each) => String(each[SLOW.series]) === key);
    own.update(store.streams, (each) => String(each[STREAM.series]) === key);
  };
}

function oneStream(main, key) {
  const title = make("h1", {}, "");
  const facts = makeFacts();
  const packets = lineChart("Packets per second", true);
  const lost = lineChart("Lost, reordered and duplicated packets per second");
  const jitter = lineChart("Jitter");
  const held = lineChart("Packets held by the buffers of its process");
  main.append(title, facts.element, make("h2", {}, "Over time"), make("div", { class: "charts" }, packets.element, lost.element, jitter.element, held.element));
  return () => {
    const row = store.streams.get(key), past = store.past.get("s" + key);
    if (!row || !past) return setText(title, "This stream is not there any more");
    setText(title, row[STREAM.name]);
    facts.update([
      ["process", processName(row[STREAM.target])],
      ["seen at", functionName(row[STREAM.series])],
      ["SSRC", row[STREAM.ssrc] || "several"],
      ["packets", whole(row[STREAM.packets])],
      ["lost", whole(row[STREAM.lost])],
      ["reordered", whole(row[STREAM.reordered])],
      ["duplicated", whole(row[STREAM.duplicated])],
      ["jitter", row[STREAM.jitter] === null ? "not known: no clock rate" : duration(row[STREAM.jitter])],
      ["packets/s, bytes/s", `${rate(row[STREAM.packetsRate])}, ${rate(row[STREAM.bytesRate])}`],
    ]);
    const at = past.at;
    packets.update({ at, format: rate, lines: [{ name: "packets/s", colour: "--c1", values: rates(past, "packets") }] });
    lost.update({ at, format: rate, lines: [["lost/s", "lost", "--c2"], ["reordered/s", "reordered", "--c3"], ["duplicated/s", "duplicated", "--c4"]].map(([name, what, colour]) => ({ name, colour, values: rates(past, what) })) });
    jitter.element.hidden = row[STREAM.jitter] === null;
    if (!jitter.element.hidden) jitter.update({ at, format: duration, lines: [{ name: "jitter", colour: "--c3", values: past.jitter }] });
    const shades = ["--c4", "--c1", "--c2", "--c3"];
    const buffers = [...store.known].filter(([other, known]) => known[KNOWN.target] === row[STREAM.target] && (store.functions.get(other) || [])[FUNCTION.depth] !== null && store.past.has("f" + other));
    held.element.hidden = !buffers.length;
    if (buffers.length) {
      const of = store.past.get("f" + buffers[0][0]);
      held.update({ at: of.at, format: rate, say: whole, lines: buffers.slice(0, 4).map(([other, known], place) => ({ name: known[KNOWN.function], colour: shades[place], values: store.past.get("f" + other).depth })) });
    }
  };
}

function slowTable() {
  return makeTable(
    "Slow calls",
    [
      { id: "at", title: "ended", kind: "text", text: (row) => clock(row[SLOW.at]), sort: (row) => row[SLOW.at], link: (key) => addressOf("slow-call", key) },
      { id: "function", title: "function", kind: "text", text: (row) => functionName(row[SLOW.series]) },
      { id: "took", title: "took", text: (row) => duration(row[SLOW.took]), sort: (row) => order(row[SLOW.took]) },
      { id: "mostly", title: "mostly", kind: "text", minor: 1, text: mostlyOf },
      { id: "process", title: "process", kind: "text", minor: 1, text: (row) => processName((store.known.get(String(row[SLOW.series])) || [])[KNOWN.target]) },
      { id: "thread", title: "thread", kind: "text", minor: 2, text: (row) => row[SLOW.thread] },
      { id: "where", title: "called from", kind: "long", minor: 2, text: (row) => stackOf(row).split("\n")[1] || NONE },
    ],
    { by: "at", empty: "No slow call is kept" },
  );
}

function slowCalls(main) {
  const table = slowTable();
  const note = make("p", { class: "weak" });
  main.append(make("h1", {}, "Slow calls"), note, table.element);
  return () => {
    setText(note, store.head.keeps_slow_calls ? "The last calls over the threshold, at most ten of a function." : "Slow calls are counted, but not kept one by one: nothing receives traces. `page: {slow_calls: true}` in the configuration keeps them.");
    table.update(store.slow);
  };
}

/** What the call's thread did: three facts that make up the call's duration, or why nobody knows. */
function shareOf(row) {
  const unknown = row[SLOW.mayYield] ? "not known: other coroutines may have run meanwhile" : "not known";
  const spent = (place) => {
    const share = row[SLOW.share];
    return share === null ? unknown : `${duration(share[place])} (${percent(row[SLOW.took] ? share[place] / row[SLOW.took] : 0)})`;
  };
  return [["ran", spent(0)], ["waited for a CPU", spent(1)], ["blocked", spent(2)]];
}

/** The largest part of a slow call, in a word or two. */
function mostlyOf(row) {
  const share = row[SLOW.share];
  if (share === null) return NONE;
  return ["running", "waiting for a CPU", "blocked"][share.indexOf(Math.max(...share))];
}

function oneSlowCall(main, key) {
  const title = make("h1", {}, "");
  const facts = makeFacts();
  const stack = make("pre", { tabindex: "0", role: "region", "aria-label": "Stack" });
  const link = make("p", {});
  const inside = make("ul", {});
  const packets = packetSection();
  main.append(title, facts.element, link, packets.element, make("h2", {}, "Stack, innermost first"), stack, make("h2", {}, "Probed calls inside it"), inside);
  return () => {
    const row = store.slow.get(key);
    if (!row) return setText(title, "This call is not kept any more");
    setText(title, `${functionName(row[SLOW.series])} took ${duration(row[SLOW.took])}`);
    const known = store.known.get(String(row[SLOW.series])) || [];
    facts.update([
      ["process", processName(known[KNOWN.target])],
      ["ended", clock(row[SLOW.at])],
      ["thread", row[SLOW.thread]],
      ...shareOf(row),
      ["packet", row[SLOW.size] === null ? NONE : `${whole(row[SLOW.size])} bytes`],
      ["failed", row[SLOW.failed] || "no"],
      ["trace", row[SLOW.trace] || "none: nothing receives traces"],
    ]);
    packets.update(row);
    setText(stack, stackOf(row) || "no stack could be read");
    if (store.head.trace_url && !link.firstElementChild && row[SLOW.trace]) {
      const href = store.head.trace_url.replaceAll("{trace_id}", row[SLOW.trace]).replaceAll("{start_ms}", String(row[SLOW.at] - 60000)).replaceAll("{end_ms}", String(row[SLOW.at] + 60000));
      link.append(make("a", { href, rel: "noopener noreferrer", target: "_blank" }, "Open the trace"));
    }
    fillList(inside, row[SLOW.inside].length ? row[SLOW.inside].map(([name, took, begin]) => `${name}: ${duration(took)}, ${duration(begin)} after the start`) : ["none"], null);
  };
}

function probes(main) {
  const costs = makeFacts();
  const table = makeTable(
    "Probes",
    [
      { id: "function", title: "function", kind: "text", text: (row) => row[PROBE.function], link: (_, row) => (row[PROBE.series] === null ? null : addressOf("function", String(row[PROBE.series]))) },
      { id: "process", title: "process", kind: "text", minor: 1, text: (row) => processName(row[PROBE.target]) },
      { id: "state", title: "state", kind: "text", text: (row) => row[PROBE.state], alarm: (row) => row[PROBE.state] === "failed" || row[PROBE.state] === "unverified" },
      { id: "strategy", title: "end", kind: "text", text: (row) => row[PROBE.strategy] || NONE },
      { id: "reason", title: "why", kind: "long", minor: 1, text: (row) => row[PROBE.reason] || NONE },
      { id: "profile", title: "profile", kind: "text", minor: 2, text: (row) => row[PROBE.profile] },
      { id: "file", title: "file", kind: "long", minor: 2, text: (row) => row[PROBE.file] },
    ],
    { by: "state" },
  );
  main.append(make("h1", {}, "Probes"), make("h2", {}, "What one hit costs on this machine"), costs.element, make("h2", {}, "Probes"), table.element);
  return () => {
    const measured = store.head.costs || [];
    costs.update(measured.length ? measured.map(([kind, seconds]) => [kind, duration(seconds * SECOND)]) : [["hit", "not measured yet"]]);
    table.update(store.probes);
  };
}

function gaps(main) {
  const counts = makeFacts();
  const known = makeFacts();
  const others = makeTable("Processes that cannot be measured", [
    { id: "name", title: "process", kind: "text", text: (row) => `${row[1]}[${row[0]}]` },
    { id: "kind", title: "kind", kind: "text", text: (row) => row[2].replaceAll("_", " ") },
    { id: "reason", title: "why", kind: "long", text: (row) => row[3] },
  ]);
  const off = makeTable("Probes that are not attached", [
    { id: "function", title: "function", kind: "text", text: (row) => row[PROBE.function] },
    { id: "process", title: "process", kind: "text", minor: 1, text: (row) => processName(row[PROBE.target]) },
    { id: "state", title: "state", kind: "text", text: (row) => row[PROBE.state] },
    { id: "reason", title: "why", kind: "long", text: (row) => row[PROBE.reason] || NONE },
  ]);
  const absent = makeTable("Values that are not known", [
    { id: "function", title: "function", kind: "text", text: (row) => row[KNOWN.function], link: (key) => addressOf("function", key) },
    { id: "process", title: "process", kind: "text", minor: 1, text: (row) => processName(row[KNOWN.target]) },
    { id: "absent", title: "not known", kind: "long", text: (row) => row[KNOWN.absent].join(", ") },
    { id: "profile", title: "profile", kind: "text", minor: 1, text: (row) => row[KNOWN.profile] },
  ]);
  main.append(make("h1", {}, "Not measured"), counts.element, others.element, off.element, absent.element, make("h2", {}, "Not known for the verdict, and lost"), known.element);
  return () => {
    counts.update((store.head.counts || []).map(([state, reason, count]) => [`processes ${state}${reason ? ": " + reason.replaceAll("_", " ") : ""}`, whole(count)]));
    others.update(new Map((store.head.unmeasured || []).map((row) => [String(row[0]), row])));
    off.update(store.probes, (row) => row[PROBE.state] !== "attached");
    absent.update(store.known, (row) => row[KNOWN.absent].length);
    let events = 0;
    for (const row of store.functions.values()) events += Number(row[FUNCTION.lostEvents]);
    known.update([
      ...[...store.verdicts].flatMap(([key, verdict]) => verdict[VERDICT.missing].map((each, place) => [`${processName(key)} (${place + 1})`, each])),
      ["calls that were not counted: no room", whole(store.head.uncounted)],
      ["slow calls without an event", whole(events)],
    ]);
  };
}
