"use strict";
/* The submit page: a folder or an archive by choice or by drop, with a progress bar. Without this script the
 * form is sent as it is. */

const form = document.getElementById("submit");
const drop = document.getElementById("drop");
const archive = document.getElementById("archive");
const folder = document.getElementById("folder");
const left_out = /(^|\/)(\.git|__pycache__|node_modules|\.DS_Store)(\/|$)/;
const archives = /\.(zip|tar|tgz|tar\.gz|tar\.zst|tzst)$/i;
let chosen = null; // {kind: "archive" | "folder", title, files: [{file, path}]}

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let n = bytes, u = 0;
  for (; n >= 1024 && u + 1 < units.length; u++) n /= 1024;
  return `${u && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[u]}`;
}

function showProblem(text) {
  const box = document.getElementById("problem");
  box.textContent = text;
  box.hidden = !text;
  if (text) box.scrollIntoView({ block: "nearest" });
}

function choose(what) {
  chosen = what;
  showProblem("");
  const text = document.getElementById("chosen");
  if (!what) {
    text.textContent = "";
    return;
  }
  const bytes = what.files.reduce((sum, f) => sum + f.file.size, 0);
  text.textContent = what.kind === "archive" ? `${what.title}, ${size(bytes)}` : `${what.title}: ${what.files.length} files, ${size(bytes)}`;
  const name = form.elements.name;
  if (!name.value) name.value = what.title.replace(archives, "").replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "").slice(0, 96);
}

archive.addEventListener("change", () => {
  const file = archive.files[0];
  folder.value = "";
  choose(file ? { kind: "archive", title: file.name, files: [{ file, path: file.name }] } : null);
});

folder.addEventListener("change", () => {
  const files = [...folder.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })).filter((f) => !left_out.test(f.path));
  archive.value = "";
  choose(files.length ? { kind: "folder", title: files[0].path.split("/")[0], files } : null);
});

/* ---- drag and drop ---- */
async function walk(entry, path, files) {
  if (left_out.test(path)) return;
  if (entry.isFile) {
    files.push({ file: await new Promise((ok, no) => entry.file(ok, no)), path });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((ok, no) => reader.readEntries(ok, no));
    if (some.length === 0) return;
    for (const child of some) await walk(child, `${path}/${child.name}`, files);
  }
}

for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  archive.value = folder.value = "";
  const entries = [...event.dataTransfer.items].map((i) => i.webkitGetAsEntry()).filter(Boolean);
  const one = entries.length === 1 ? entries[0] : null;
  if (one?.isFile && archives.test(one.name)) {
    const file = await new Promise((ok, no) => one.file(ok, no));
    choose({ kind: "archive", title: file.name, files: [{ file, path: file.name }] });
    return;
  }
  const files = [];
  /* Loose files are what would lie in the folder. */
  for (const entry of entries) await walk(entry, one?.isDirectory ? entry.name : `bundle/${entry.name}`, files);
  choose(files.length ? { kind: "folder", title: one ? one.name : "bundle", files } : null);
});

/* ---- sending ---- */
function busy(on) {
  document.getElementById("send").disabled = on;
  document.getElementById("progress").hidden = !on;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!chosen) {
    showProblem("Choose a folder or an archive first.");
    return;
  }
  const bar = document.getElementById("bar");
  const step = document.getElementById("step");
  const data = new FormData();
  data.append("owner", form.elements.owner.value.trim());
  data.append("name", form.elements.name.value.trim());
  for (const f of chosen.files) data.append(chosen.kind, f.file, f.path);

  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.upload.onprogress = (p) => {
    bar.max = p.total;
    bar.value = p.loaded;
    step.textContent = `Uploading: ${size(p.loaded)} of ${size(p.total)}`;
  };
  request.upload.onload = () => {
    bar.removeAttribute("value");
    step.textContent = "Unpacking and checking…";
  };
  request.onload = () => {
    let answer = {};
    try {
      answer = JSON.parse(request.responseText);
    } catch { /* told by its status below */ }
    if (request.status === 200) {
      step.textContent = "Accepted. To its page…";
      location.assign(answer.page);
      return;
    }
    busy(false);
    showProblem(answer.error || `The site answered ${request.status}.`);
  };
  request.onerror = () => {
    busy(false);
    showProblem("The upload was cut off. Is the archive larger than the limit, or the site being restarted?");
  };
  showProblem("");
  busy(true);
  bar.value = 0;
  step.textContent = "Uploading…";
  request.send(data);
});
