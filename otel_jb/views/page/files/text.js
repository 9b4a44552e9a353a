// SPDX-License-Identifier: Apache-2.0
// Numbers and elements for people. Texts of targets are only ever set as text nodes: nothing on this page parses HTML.
"use strict";

const NONE = "–";
const SECOND = 1e9;

/** A count with all its digits, in groups of three. Counts beyond 2^53 come as texts. */
function whole(value) {
  if (value === null || value === undefined) return NONE;
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** A rate, three digits. */
function rate(value) {
  if (value === null || value === undefined) return NONE;
  for (const [least, scale, unit] of [[1e9, 1e9, "G"], [1e6, 1e6, "M"], [1e4, 1e3, "k"]]) {
    if (value >= least) return (value / scale).toFixed(1) + unit;
  }
  return value < 100 ? value.toFixed(1) : value.toFixed(0);
}

/** A duration in nanoseconds, three digits. */
function duration(ns) {
  if (ns === null || ns === undefined) return NONE;
  for (const [scale, unit] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) {
    if (ns >= scale) return Number((ns / scale).toPrecision(3)) + "\u202f" + unit;
  }
  return Number(Number(ns).toPrecision(3)) + "\u202fns";
}

/** The upper bound of a bucket; -1: beyond the last one. */
function atMost(ns) {
  if (ns === null || ns === undefined) return NONE;
  return ns < 0 ? "over" : "≤" + duration(ns);
}

function percent(share) {
  return share === null || share === undefined ? NONE : (share * 100).toFixed(share < 0.001 && share > 0 ? 3 : 1) + "\u202f%";
}

/** Made once: a formatter takes longer to make than a chart to draw. */
const CLOCK = new Intl.DateTimeFormat([], { hour: "numeric", minute: "numeric", second: "numeric", hourCycle: "h23" });

function clock(ms) {
  return ms ? CLOCK.format(ms) : NONE;
}

/** A number to sort by, whatever a cell holds. */
function order(value) {
  return value === null || value === undefined ? -Infinity : Number(value);
}

/** An element with attributes and children; children that are no elements become text nodes. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set a text only where it changed: anything else makes the browser lay the page out again. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
