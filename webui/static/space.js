"use strict";
/* A Space's page: tabs, the live stage, the demo's frame, live logs. */

const space = document.getElementById("space");
const api = `/api/spaces/${spacePath(space.dataset.space)}`;
const frame = document.getElementById("demo");

/* ---- tabs ---- */
const tabs = [...document.querySelectorAll('[role="tab"]')];

function showTab(tab) {
  for (const t of tabs) {
    const on = t === tab;
    t.setAttribute("aria-selected", on);
    t.tabIndex = on ? 0 : -1;
    document.getElementById(t.getAttribute("aria-controls")).hidden = !on;
  }
  const name = tab.getAttribute("aria-controls");
  history.replaceState(null, "", name === "app" ? location.pathname : `#view-${name}`);
  if (name === "logs") openLog();
  else closeLog();
}

for (const tab of tabs) {
  tab.addEventListener("click", () => showTab(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    next.focus();
    showTab(next);
  });
}

/* ---- the stage ---- */
function showStage(now) {
  const before = space.dataset.stage;
  space.dataset.stage = now.stage;
  setBadge(document.getElementById("badge"), now.word, now.class);
  document.getElementById("halt").hidden = now.shows_demo;
  document.getElementById("halt-word").textContent = now.word;
  document.getElementById("halt-reason").textContent = now.reason;
  frame.hidden = !now.shows_demo;
  showLastLines();
  if (!now.shows_demo) frame.removeAttribute("src");
  else if (!frame.hasAttribute("src")) frame.src = space.dataset.url;
  if (now.stage === "DELETING" && before !== "DELETING") {
    changes.close();
    setTimeout(() => location.assign("/"), 1200);
  }
}

/* To the operator a failure shows its last lines at once. */
async function showLastLines() {
  const box = document.getElementById("halt-log");
  if (!box) return;
  box.hidden = true;
  if (!space.dataset.stage.endsWith("ERROR")) return;
  try {
    const answer = await fetch(`${api}/logs/run?tail=12`);
    const text = answer.ok ? await answer.text() : "";
    box.textContent = text.replace(/^\S+Z /gm, "");
    box.hidden = !text;
  } catch { /* the logs tab says it when the site does not answer */ }
}

const changes = new EventSource(`${api}/events`);
changes.onmessage = (event) => showStage(JSON.parse(event.data));

/* ---- logs ---- */
const LINES_MAX = 2000;
let log = null;
let which = "run";

function addLine(entry) {
  const box = document.getElementById("log");
  box.querySelector(".none")?.remove();
  const line = document.createElement("div");
  line.className = "line";
  const time = document.createElement("time");
  time.dateTime = entry.timestamp;
  time.textContent = entry.timestamp ? new Date(entry.timestamp).toLocaleTimeString() : "";
  const text = document.createElement("span");
  text.textContent = entry.data.replace(/\n$/, "");
  line.append(time, text);
  box.append(line);
  while (box.childElementCount > LINES_MAX) box.firstElementChild.remove();
  if (document.getElementById("log-follow").checked) box.scrollTop = box.scrollHeight;
}

function openLog() {
  closeLog();
  const box = document.getElementById("log");
  const state = document.getElementById("log-state");
  const none = document.createElement("div");
  none.className = "none";
  none.textContent = "No line yet.";
  box.replaceChildren(none);
  log = new EventSource(`${api}/logs/${which}?follow=1&tail=500`);
  log.onopen = () => { state.textContent = "Live"; };
  log.onerror = () => {
    /* It comes back by itself, and then from the last lines again. */
    state.textContent = "Waiting for the server";
    box.replaceChildren();
  };
  log.onmessage = (event) => { if (event.data) addLine(JSON.parse(event.data)); };
}

function closeLog() {
  log?.close();
  log = null;
}

for (const button of document.querySelectorAll("[data-log]")) {
  button.addEventListener("click", () => {
    which = button.dataset.log;
    for (const b of document.querySelectorAll("[data-log]")) b.setAttribute("aria-pressed", b === button);
    document.getElementById("log-raw").href = `${api}/logs/${which}`;
    openLog();
  });
}

const wanted = tabs.find((t) => `#view-${t.getAttribute("aria-controls")}` === location.hash);
if (wanted) showTab(wanted);
