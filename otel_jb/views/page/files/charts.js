// SPDX-License-Identifier: Apache-2.0
// Charts on a canvas; here lines over time, and calls by duration over time. What is drawn can also be read, by pointer or arrow keys.

const LEFT = 62, RIGHT = 8, TOP = 8, BOTTOM = 20;

const colours = new Map(); // of the present theme

function colour(name) {
  if (!colours.has(name)) colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(name));
  return colours.get(name);
}

/**
 * A figure: caption, key, canvas, and a line that says the values at the cursor, else the latest. `draw` and `say` are given the data.
 * data: at (times in ms), and where these are no times of day: range (the axis' begin and end), moment(time), summary (what is said without a cursor).
 */
function makeChart(title, draw, say, css) {
  const canvas = make("canvas", { role: "img", tabindex: "0", "aria-label": title });
  const readout = make("p", { class: "readout" });
  const key = make("ul", { class: "key" });
  const element = make("figure", { class: css || null }, make("figcaption", {}, title), key, canvas, readout);
  const chart = { element, data: null, cursor: null };
  // Asked of the canvas while the page is being filled, its size would make the browser lay everything out, once for each chart.
  let width = 0, height = 0;
  new ResizeObserver(() => {
    width = canvas.clientWidth;
    height = canvas.clientHeight;
    if (chart.data) chart.update(chart.data);
  }).observe(canvas);

  chart.update = (data) => {
    chart.data = data;
    const ratio = window.devicePixelRatio || 1;
    if (!width) return;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "11px system-ui, sans-serif";
    const area = { left: LEFT, top: TOP, width: width - LEFT - RIGHT, height: height - TOP - BOTTOM };
    const at = data.at;
    const last = at.length - 1;
    if (last < 0) return setText(readout, "no reading yet");
    const [begin, end] = rangeOf(data);
    const x = (time) => area.left + ((time - begin) / (end - begin)) * area.width;
    if (data.moment) momentAxis(context, area, begin, end, x, data.moment);
    else timeAxis(context, area, begin, end, x);
    drawKey(key, data.lines || []);
    draw(context, area, data, x, begin);
    const place = chart.cursor === null ? last : nearest(at, chart.cursor);
    if (chart.cursor !== null) {
      context.strokeStyle = colour("--text");
      context.beginPath();
      context.moveTo(x(at[place]), area.top);
      context.lineTo(x(at[place]), area.top + area.height);
      context.stroke();
    }
    const said = chart.cursor === null && data.summary ? data.summary : `${(data.moment || clock)(at[place])}  ${say(data, place)}`;
    setText(readout, said);
    canvas.setAttribute("aria-label", `${title}. ${said}`);
  };
  const point = (time) => {
    chart.cursor = time;
    if (chart.data) chart.update(chart.data);
  };
  canvas.addEventListener("pointermove", (event) => {
    const at = chart.data ? chart.data.at : [];
    if (!at.length) return;
    const [begin, end] = rangeOf(chart.data);
    const share = (event.offsetX - LEFT) / (width - LEFT - RIGHT);
    point(begin + Math.max(0, Math.min(1, share)) * (end - begin));
  });
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("blur", () => point(null));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const at = chart.data ? chart.data.at : [];
    if (!step || !at.length) return;
    event.preventDefault();
    const place = chart.cursor === null ? (step > 0 && chart.data.summary ? -1 : at.length - 1) : nearest(at, chart.cursor);
    point(at[Math.max(0, Math.min(at.length - 1, place + step))]);
  });
  return chart;
}

function rangeOf(data) {
  const end = data.at[data.at.length - 1];
  return data.range || [Math.min(data.at[0], end - 60000), end];
}

function nearest(at, time) {
  let best = 0;
  for (let place = 1; place < at.length; place++) if (Math.abs(at[place] - time) < Math.abs(at[best] - time)) best = place;
  return best;
}

function timeAxis(context, area, begin, end, x) {
  context.fillStyle = colour("--weak");
  context.textAlign = "center";
  context.textBaseline = "top";
  const step = [10, 15, 30, 60, 120, 300].find((seconds) => ((end - begin) / 1000 / seconds) * 70 <= area.width) || 600;
  for (let time = Math.ceil(begin / 1000 / step) * step * 1000; time <= end; time += step * 1000) {
    if (x(time) > area.left + 20 && x(time) < area.left + area.width - 20) context.fillText(clock(time), x(time), area.top + area.height + 5);
  }
}

/** The same for times that count from some moment. */
function momentAxis(context, area, begin, end, x, format) {
  context.fillStyle = colour("--weak");
  context.textAlign = "center";
  context.textBaseline = "top";
  const step = niceStep(((end - begin) * 90) / area.width);
  for (let time = Math.ceil(begin / step) * step; time <= end; time += step) {
    if (x(time) > area.left + 20 && x(time) < area.left + area.width - 20) context.fillText(format(Math.abs(time) < step / 2 ? 0 : time), x(time), area.top + area.height + 5);
  }
}

function valueAxis(context, area, ticks, y, format) {
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.strokeStyle = colour("--line");
  context.fillStyle = colour("--weak");
  for (const tick of ticks) {
    context.beginPath();
    context.moveTo(area.left, y(tick));
    context.lineTo(area.left + area.width, y(tick));
    context.stroke();
    context.fillText(format(tick), area.left - 6, y(tick));
  }
}

function drawKey(key, lines) {
  if (key.childElementCount === lines.length || lines.length < 2) return;
  key.replaceChildren(
    ...lines.map((line) => {
      const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
      shape.setAttribute("d", line.shape || "M0 0h12v12H0z");
      shape.setAttribute("fill", `var(${line.colour})`);
      picture.setAttribute("aria-hidden", "true");
      picture.append(shape);
      return make("li", {}, picture, line.name);
    }),
  );
}

/** data: at, lines: [{name, colour, values}], format, log. A value of -1 is beyond the last bound: it is drawn at the top. */
function drawLines(context, area, data, x) {
  const values = data.lines.flatMap((line) => line.values.filter((value) => value !== null).map(Number));
  const least = data.log ? Math.min(...values.filter((value) => value > 0), Infinity) : Math.min(0, ...values);
  let most = Math.max(...values, data.log ? -Infinity : 0);
  if (!values.length || (data.log && !Number.isFinite(least))) return;
  let y, ticks;
  if (data.log) {
    const low = Math.floor(Math.log10(least)), high = Math.max(low + 1, Math.ceil(Math.log10(most)));
    y = (value) => area.top + (1 - (Math.log10(value) - low) / (high - low)) * area.height;
    ticks = Array.from({ length: high - low + 1 }, (_, place) => 10 ** (low + place));
  } else {
    const step = niceStep((most - least) / 4 || 1);
    most = Math.max(most, least + step);
    y = (value) => area.top + (1 - (value - least) / (most - least)) * area.height;
    ticks = [];
    for (let tick = Math.ceil(least / step) * step; tick <= most + step / 1e6; tick += step) ticks.push(tick);
  }
  valueAxis(context, area, ticks, y, data.format);
  context.lineWidth = 1.8;
  for (const line of data.lines) {
    context.strokeStyle = context.fillStyle = colour(line.colour);
    context.beginPath();
    let before = null;
    line.values.forEach((value, place) => {
      if (value === null) return;
      const time = data.at[place], height = value < 0 && data.log ? area.top : y(Number(value));
      if (before !== null && time - before <= GAP_MS) context.lineTo(x(time), height);
      else {
        context.moveTo(x(time), height);
        context.fillRect(x(time) - 1, height - 1, 2, 2);
      }
      before = time;
    });
    context.stroke();
  }
  context.lineWidth = 1;
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
}

function sayLines(data, place) {
  const said = data.lines.map((line) => `${line.name} ${(data.say || data.format)(line.values[place])}`);
  return said.join("  ·  ");
}

function lineChart(title, wide) {
  return makeChart(title, drawLines, sayLines, wide ? "wide" : null);
}

const LEAST_ROW = 7; // pixels: neighbouring buckets share a row where there are many

/** data: at, more: calls by bucket at each reading, bounds. The stronger the colour, the more calls per second; a row is a bucket, or some. */
function drawHeat(context, area, data, x, begin) {
  const bounds = data.bounds;
  let low = bounds.length, high = 0;
  for (const counts of data.more) {
    (counts || []).forEach((count, bucket) => {
      if (!count) return;
      low = Math.min(low, bucket);
      high = Math.max(high, bucket);
    });
  }
  if (low > high) return;
  low = Math.max(0, low - 1);
  high = Math.min(bounds.length, high + 1);
  const shared = Math.ceil(((high - low + 1) * LEAST_ROW) / area.height); // buckets in a row
  const rows = Math.ceil((high - low + 1) / shared);
  const height = area.height / rows;
  const y = (row) => area.top + area.height - (row + 1) * height;
  const upper = (row) => low + (row + 1) * shared - 1; // the last bucket of a row
  const named = [];
  for (let row = 0; row < rows; row += Math.ceil(14 / height)) named.push(row);
  valueAxis(context, area, named, y, (row) => (upper(row) < bounds.length ? duration(bounds[upper(row)]) : "over"));
  const cells = [];
  let most = 0;
  data.more.forEach((counts, place) => {
    if (!counts) return;
    const end = data.at[place];
    const start = place && end - data.at[place - 1] <= GAP_MS ? data.at[place - 1] : end - 1000;
    const sums = new Array(rows).fill(0);
    counts.forEach((count, bucket) => {
      if (count) sums[Math.floor((bucket - low) / shared)] += (count * 1000) / (end - start);
    });
    sums.forEach((calls, row) => {
      if (!calls) return;
      most = Math.max(most, calls);
      cells.push([x(Math.max(begin, start)), x(end), row, calls]);
    });
  });
  context.fillStyle = colour("--c1");
  for (const [left, right, row, calls] of cells) {
    context.globalAlpha = 0.2 + (0.8 * Math.log1p(calls)) / Math.log1p(most);
    context.fillRect(left, y(row), Math.max(1, right - left - 0.3), Math.max(1, height - 0.6));
  }
  context.globalAlpha = 1;
}

function sayHeat(data, place) {
  const counts = data.more[place];
  if (!counts) return "no call";
  const said = [];
  counts.forEach((count, bucket) => {
    if (count) said.push(`${bucket < data.bounds.length ? atMost(data.bounds[bucket]) : "over"}: ${whole(count)}`);
  });
  return said.length ? `calls ${said.join("  ")}` : "no call";
}

function heatChart(title) {
  return makeChart(title, drawHeat, sayHeat, "wide");
}
