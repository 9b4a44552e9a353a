// SPDX-License-Identifier: Apache-2.0
// The packets around a slow call: a row for each sequence number, from left to right when it came. The picture, and the same as a table.

const MS = 1e6;

/** What may be said of a packet's place among the others: its word, colour and shape, in a box of 12 by 12. */
const ORDERS = {
  in_order: { name: "in order", colour: "--c1", shape: "M6 1a5 5 0 1 0 .01 0z" },
  reordered: { name: "out of order", colour: "--c2", shape: "M6 0L12 11H0z" },
  duplicated: { name: "duplicate", colour: "--c3", shape: "M1 1h10v10H1z" },
  stray: { name: "stray", colour: "--weak", shape: "M1 3L3 1L6 4L9 1L11 3L8 6L11 9L9 11L6 8L3 11L1 9L4 6z" },
};

function orderOf(row) {
  return ORDERS[row[PACKET.order]] || ORDERS.stray;
}

/** A time since the call began, in nanoseconds, with its sign. */
function fromBegin(ns) {
  return `${ns < 0 ? "−" : "+"}${duration(Math.abs(ns))}`;
}

/** What the chart is given of a slow call. */
function packetData(call) {
  const rows = call[SLOW.packets];
  const at = rows.map((row) => row[PACKET.after] / MS);
  const took = call[SLOW.took] / MS;
  const first = Math.min(0, at[0], ...rows.map((row) => (row[PACKET.after] - (row[PACKET.late] || 0)) / MS)), last = Math.max(0, at[at.length - 1]);
  // A call of many seconds would press its packets into a corner.
  const left = Math.max(...rows.map((row) => (row[PACKET.after] + (row[PACKET.stayed] || 0)) / MS));
  const end = Math.max(last, Math.min(left, last + (last - first)), Math.min(took, last + 2 * (last - first)), first + 0.001);
  const margin = (end - first) / 40;
  const numbers = new Set(rows.map((row) => row[PACKET.line])).size;
  const missing = call[SLOW.missing].reduce((sum, each) => sum + each[1], 0);
  const late = rows.filter((row) => row[PACKET.order] === "reordered").length, again = rows.filter((row) => row[PACKET.order] === "duplicated").length;
  const present = Object.keys(ORDERS).filter((name) => rows.some((row) => orderOf(row) === ORDERS[name]));
  return {
    at,
    rows,
    took,
    missing: call[SLOW.missing],
    height: numbers + call[SLOW.missing].length,
    range: [first - margin, end + margin],
    moment: (ms) => (Math.abs(ms) < 1e-9 ? "0" : fromBegin(ms * MS)),
    lines: present.length > 1 ? present.map((name) => ORDERS[name]) : [],
    summary: `${whole(rows.length)} packets in ${duration((at[at.length - 1] - at[0]) * MS)}: ${whole(late)} out of order, ${whole(again)} duplicate, ${whole(missing)} missing${became(rows)}`,
  };
}

const PLAYED = "played";

/** How many packets came to each end. */
function became(rows) {
  const counts = new Map();
  for (const row of rows) if (row[PACKET.outcome]) counts.set(row[PACKET.outcome], (counts.get(row[PACKET.outcome]) || 0) + 1);
  return counts.size ? `; what became of them: ${[...counts].map(([name, count]) => `${whole(count)} ${name}`).join(", ")}` : "";
}

function drawPackets(context, area, data, x) {
  const height = area.height / data.height;
  const y = (line) => area.top + area.height - (line + 0.5) * height;
  context.fillStyle = colour("--c2");
  context.globalAlpha = 0.14;
  context.fillRect(x(0), area.top, Math.max(2, Math.min(x(data.took), area.left + area.width) - x(0)), area.height);
  context.globalAlpha = 1;
  const every = Math.ceil(14 / height);
  const numbers = new Map(data.rows.map((row) => [row[PACKET.line], row[PACKET.number]]));
  valueAxis(context, area, [...numbers.keys()].filter((line) => line % every === 0), y, (line) => String(numbers.get(line)));
  context.textAlign = "left";
  context.setLineDash([3, 3]);
  for (const [line, count] of data.missing) {
    context.strokeStyle = context.fillStyle = colour("--bad");
    context.beginPath();
    context.moveTo(area.left + 74, y(line));
    context.lineTo(area.left + area.width, y(line));
    context.stroke();
    context.fillText(`${whole(count)} missing`, area.left + 4, y(line));
  }
  context.setLineDash([]);
  const size = Math.max(5, Math.min(12, height));
  for (const row of data.rows) {
    const { colour: shade, shape } = orderOf(row);
    const at = x(row[PACKET.after] / MS);
    context.strokeStyle = context.fillStyle = colour(shade);
    if (row[PACKET.late]) {
      context.beginPath();
      context.moveTo(x((row[PACKET.after] - row[PACKET.late]) / MS), y(row[PACKET.line]));
      context.lineTo(at, y(row[PACKET.line]));
      context.stroke();
    }
    if (row[PACKET.stayed] !== null) {
      // From its put to its end: a bar for one that was played, a cross for one that was thrown away.
      const end = Math.min(x((row[PACKET.after] + row[PACKET.stayed]) / MS), area.left + area.width), middle = y(row[PACKET.line]), half = size / 2 + 1;
      context.strokeStyle = colour(row[PACKET.outcome] === PLAYED ? "--c4" : "--bad");
      context.lineWidth = 2;
      context.beginPath();
      context.moveTo(at, middle);
      context.lineTo(end, middle);
      if (row[PACKET.outcome] === PLAYED) {
        context.moveTo(end, middle - half);
        context.lineTo(end, middle + half);
      } else {
        context.moveTo(end - half, middle - half);
        context.lineTo(end + half, middle + half);
        context.moveTo(end - half, middle + half);
        context.lineTo(end + half, middle - half);
      }
      context.stroke();
      context.lineWidth = 1;
    }
    context.fillStyle = colour(shade);
    context.save();
    context.translate(at - size / 2, y(row[PACKET.line]) - size / 2);
    context.scale(size / 12, size / 12);
    context.fill(new Path2D(shape));
    context.restore();
  }
}

function sayPacket(data, place) {
  const row = data.rows[place];
  const late = row[PACKET.late] === null ? "" : `  ·  ${duration(row[PACKET.late])} late`;
  const end = row[PACKET.outcome] ? `  ·  ${row[PACKET.outcome]}${row[PACKET.stayed] === null ? "" : ` after ${duration(row[PACKET.stayed])}`}` : "";
  return `packet ${row[PACKET.number]}, ${orderOf(row).name}  ·  RTP time ${whole(row[PACKET.time])}${late}${end}`;
}

/** The section of a slow call's view; hidden where no packet is known. */
function packetSection() {
  const chart = makeChart("Packets by the time when they came", drawPackets, sayPacket, "wide tall");
  const note = make("p", { class: "weak" });
  const table = makeTable(
    "Packets",
    [
      { id: "number", title: "number", text: (row) => row[PACKET.number], sort: (row) => row[PACKET.line] },
      { id: "after", title: "came", text: (row) => fromBegin(row[PACKET.after]), sort: (row) => row[PACKET.after] },
      { id: "gap", title: "after the last", minor: 1, text: (row) => duration(row.gap), sort: (row) => order(row.gap) },
      { id: "late", title: "late by", text: (row) => duration(row[PACKET.late]), sort: (row) => order(row[PACKET.late]) },
      { id: "order", title: "order", kind: "text", text: (row) => orderOf(row).name, alarm: (row) => row[PACKET.order] !== "in_order" },
      { id: "outcome", title: "outcome", kind: "text", text: (row) => row[PACKET.outcome] || NONE, alarm: (row) => row[PACKET.outcome] && row[PACKET.outcome] !== PLAYED },
      { id: "stayed", title: "stayed", minor: 1, text: (row) => duration(row[PACKET.stayed]), sort: (row) => order(row[PACKET.stayed]) },
      { id: "time", title: "RTP time", minor: 1, text: (row) => whole(row[PACKET.time]), sort: (row) => row[PACKET.time] },
      { id: "ssrc", title: "SSRC", kind: "text", minor: 2, text: (row) => row[PACKET.ssrc] },
    ],
    {},
  );
  const element = make("section", {}, make("h2", {}, "Packets around it"), note, chart.element, make("details", {}, make("summary", {}, "The same as a table"), table.element));
  let shown = null;
  return {
    element,
    update(call) {
      element.hidden = !call[SLOW.packets].length;
      if (element.hidden || shown === call) return;
      shown = call;
      const timed = call[SLOW.packets].some((row) => row[PACKET.late] !== null);
      setText(
        note,
        `Packets that went into the same buffer: up to 16 before the call began, and 8 after. Time 0 is its beginning; the call is shaded. ${call[SLOW.packets].some((row) => row[PACKET.outcome]) ? "Behind each packet, a bar shows until when it stayed in the buffer; a cross, that it was thrown away. " : ""}${timed ? "A line shows how late a packet came: it begins when the packet was due by its RTP time, relative to the earliest of them." : "The clock rate is not known, so RTP times do not say who is late (--sdp, --clock-rate)."}`,
      );
      chart.update(packetData(call));
      const rows = call[SLOW.packets].map((row, place) => Object.assign([...row], { gap: place ? row[PACKET.after] - call[SLOW.packets][place - 1][PACKET.after] : null }));
      table.update(new Map(rows.map((row, place) => [String(place), row])));
    },
  };
}
