"use strict";
/* An exhibit draws itself on a canvas of 400 x 300 at a time t in seconds, with two colours. */
const TAU = Math.PI * 2;
const exhibits = [
  ["Sunflower", "golden angle", (g, t, a, b) => {
    for (let i = 1; i < 420; i++) {
      const r = 6.6 * Math.sqrt(i), f = i * (2.399963 + Math.sin(t / 4) * 0.002);
      g.fillStyle = i % 21 < 8 ? a : b;
      g.globalAlpha = 0.25 + 0.75 * i / 420;
      dot(g, 200 + r * Math.cos(f), 150 + r * Math.sin(f), 1.2 + i / 190);
    }
  }],
  ["Pendulums", "Lissajous, 3 : 4", (g, t, a, b) => {
    for (const [color, shift, width] of [[b, 0.9, 1.2], [a, 0, 2]]) {
      g.strokeStyle = color;
      g.lineWidth = width;
      g.beginPath();
      for (let i = 0; i <= 600; i++) {
        const f = i / 600 * TAU;
        g.lineTo(200 + 160 * Math.sin(3 * f + t * 0.5 + 0.4 + shift), 150 + 115 * Math.sin(4 * f));
      }
      g.stroke();
    }
  }],
  ["Tide", "forty lines", (g, t, a, b) => {
    for (let y = 0; y < 40; y++) {
      g.strokeStyle = y % 5 ? a : b;
      g.globalAlpha = 0.35 + y / 62;
      g.beginPath();
      for (let x = 30; x <= 370; x += 4) {
        const near = Math.exp(-(((x - 200) / 75) ** 2));
        g.lineTo(x, 50 + y * 5.4 - near * (26 * Math.sin(x / 19 + y / 3 + t * 1.4) * Math.sin(y / 6 + t * 0.6) + 12));
      }
      g.stroke();
    }
  }],
  ["Moiré", "two sets of rings", (g, t, a, b) => {
    for (const [color, x] of [[a, 200 - 34 * Math.cos(t * 0.5 - 1)], [b, 200 + 34 * Math.cos(t * 0.5 - 1)]]) {
      g.strokeStyle = color;
      g.lineWidth = 1.6;
      for (let r = 4; r < 150; r += 6) ring(g, x, 150, r);
    }
  }],
  ["Gears", "a curve of wheels in wheels", (g, t, a, b) => {
    g.lineWidth = 1.1;
    for (const [color, k] of [[b, 0.62], [a, 1]]) {
      g.strokeStyle = color;
      g.beginPath();
      for (let i = 0; i <= 1400; i++) {
        const f = i / 1400 * TAU * 7;
        g.lineTo(200 + k * (86 * Math.cos(f) + 48 * Math.cos(f * 17 / 7 + t * 0.6)), 150 + k * (86 * Math.sin(f) - 48 * Math.sin(f * 17 / 7 + t * 0.6)));
      }
      g.stroke();
    }
  }],
  ["Tree", "one branch makes two", (g, t, a, b) => {
    const grow = (x, y, f, len, deep) => {
      const to = [x + len * Math.cos(f), y + len * Math.sin(f)];
      g.strokeStyle = deep < 4 ? b : a;
      g.lineWidth = deep * 0.75;
      g.beginPath();
      g.moveTo(x, y);
      g.lineTo(...to);
      g.stroke();
      if (!deep) return;
      const sway = Math.sin(t * 0.9 + deep) * 0.05;
      grow(...to, f - 0.42 + sway, len * 0.76, deep - 1);
      grow(...to, f + 0.36 + sway, len * 0.8, deep - 1);
    };
    grow(205, 285, -Math.PI / 2, 60, 9);
  }],
];

function dot(g, x, y, r) { g.beginPath(); g.arc(x, y, r, 0, TAU); g.fill() }
function ring(g, x, y, r) { g.beginPath(); g.arc(x, y, r, 0, TAU); g.stroke() }

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const shown = exhibits.map(([name, about, draw], n) => {
  const figure = document.createElement("figure");
  figure.innerHTML = `<button class="glass" aria-label="${name}: set in motion"><canvas width="800" height="600"></canvas></button><figcaption><b>${name}</b><span>${about}</span></figcaption>`;
  document.getElementById("room").append(figure);
  const g = figure.querySelector("canvas").getContext("2d");
  const self = { t: n * 0.8 + 1, moving: false };
  self.paint = () => {
    const style = getComputedStyle(document.documentElement);
    g.setTransform(2, 0, 0, 2, 0, 0);
    g.clearRect(0, 0, 400, 300);
    g.globalAlpha = 1;
    g.lineWidth = 1;
    draw(g, self.t, style.getPropertyValue("--a"), style.getPropertyValue("--b"));
  };
  const button = figure.querySelector("button");
  button.onclick = () => { self.moving = !self.moving };
  button.onpointerenter = e => { if (e.pointerType === "mouse" && !calm.matches) self.moving = true };
  button.onpointerleave = e => { if (e.pointerType === "mouse") self.moving = false };
  self.paint();
  return self;
});
let last = 0;
requestAnimationFrame(function frame(now) {
  const dt = Math.min(0.05, (now - last) / 1000);
  last = now;
  for (const e of shown) if (e.moving) { e.t += dt; e.paint() }
  requestAnimationFrame(frame);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown.forEach(e => e.paint()));
