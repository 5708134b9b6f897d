"use strict";
/* The admin page, live: each second the whole state comes, and rows are made, changed, removed by it. */

const live = document.getElementById("live");

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let u = 0;
  for (; n >= 1024 && u + 1 < units.length; u++) n /= 1024;
  return `${n < 10 && u ? n.toFixed(1).replace(".0", "") : Math.round(n)} ${units[u]}`;
}

function duration(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

function setText(row, field, text) {
  const cell = row.querySelector(`[data-f="${field}"]`);
  if (cell.textContent !== text) cell.textContent = text;
}

function setSpace(row, space) {
  row.dataset.space = space;
  const link = row.querySelector('[data-f="link"]');
  link.textContent = space;
  link.href = `/spaces/${spacePath(space)}`;
  const acts = row.querySelector(".acts");
  acts.dataset.space = space;
  for (const form of acts.querySelectorAll("form")) form.action = `/spaces/${spacePath(space)}/${form.dataset.act}`;
}

/* Brings a table's rows to `items`: one row for each, by its id, in their order. */
function update(table, blank, items, id, fill) {
  const body = document.querySelector(`#${table} tbody`);
  const rows = new Map([...body.rows].map((row) => [row.dataset.id, row]));
  items.forEach((item, i) => {
    const key = String(id(item));
    let row = rows.get(key);
    rows.delete(key);
    if (!row) {
      row = document.getElementById(blank).content.querySelector("tr").cloneNode(true);
      row.dataset.id = key;
    }
    fill(row, item);
    if (body.rows[i] !== row) body.insertBefore(row, body.rows[i] || null);
  });
  for (const row of rows.values()) row.remove();
}

function fillWorker(row, w) {
  if (row.dataset.space !== w.space) setSpace(row, w.space);
  row.dataset.stage = w.stage;
  const state = row.querySelector('[data-f="state"]');
  state.dataset.state = w.state;
  setText(row, "state", w.state);
  setText(row, "gpus", w.gpus);
  const bar = row.querySelector('[data-f="bar"]');
  bar.max = w.memory_limit_bytes || 1;
  bar.value = w.memory_bytes;
  const share = w.memory_bytes / (w.memory_limit_bytes || Infinity);
  bar.className = share > 0.95 ? "meter full" : share > 0.8 ? "meter warn" : "meter";
  setText(row, "memory", bytes(w.memory_bytes));
  setText(row, "limit", bytes(w.memory_limit_bytes));
  setText(row, "cpu", `${w.cpu_percent.toFixed(1)} %`);
  setText(row, "uptime", duration(w.uptime_ms));
  setText(row, "requests", w.requests.toLocaleString());
  setText(row, "restarts", String(w.restarts));
}

function fillSpace(row, s) {
  if (row.dataset.space !== s.id || !row.querySelector('[data-f="link"]').textContent) setSpace(row, s.id);
  row.dataset.stage = s.stage;
  setText(row, "emoji", s.emoji || "◆");
  setText(row, "reason", s.reason);
  setBadge(row.querySelector('[data-f="badge"]'), s.word, s.class);
}

function plural(n, word) {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}

function show(state) {
  update("workers", "blank-worker", state.workers, (w) => w.worker_id, fillWorker);
  update("spaces", "blank-space", state.spaces, (s) => s.id, fillSpace);
  const memory = state.workers.reduce((sum, w) => sum + w.memory_bytes, 0);
  const cpu = state.workers.reduce((sum, w) => sum + w.cpu_percent, 0);
  document.getElementById("summary").textContent =
    `${plural(state.workers.length, "worker")} of ${plural(state.spaces.length, "Space")}, ${bytes(memory)} of memory, ${cpu.toFixed(0)} % of a core.`;
}

async function showEvents() {
  try {
    const { events } = await call("GET", "/api/admin/events?limit=40");
    update("events", "blank-event", events, (e) => e.id, (row, e) => {
      const at = row.querySelector('[data-f="at"]');
      at.dateTime = e.at;
      at.textContent = new Date(e.at).toLocaleTimeString();
      at.title = new Date(e.at).toLocaleString();
      setText(row, "space", e.space);
      setText(row, "event", e.event);
      setText(row, "detail", e.detail);
    });
  } catch { /* the badge says that the site does not answer */ }
}

let stages = "";
const stream = new EventSource("/api/admin/workers/stream");
stream.onmessage = (event) => {
  setBadge(live, "Live", "good");
  const state = JSON.parse(event.data);
  show(state);
  /* Something happened: then there are events as well. */
  const now = JSON.stringify([state.spaces.map((s) => [s.id, s.stage, s.reason]), state.workers.map((w) => [w.worker_id, w.state])]);
  if (now !== stages) showEvents();
  stages = now;
};
stream.onerror = () => setBadge(live, "Waiting for the server", "busy");
