"use strict";
/* What several pages use: messages at the corner, and the operator's buttons without leaving the page. */

function toast(text, bad) {
  const box = document.createElement("div");
  box.className = bad ? "toast bad" : "toast";
  box.textContent = text;
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), bad ? 9000 : 4000);
}

/* The answer of a call of the API; what went wrong is an Error with the server's sentence. */
async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, { method, body, headers: { Accept: "application/json" } });
  } catch {
    throw new Error("The site does not answer. Is it being restarted? Try again in a moment.");
  }
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(data.error || `The site answered ${answer.status}.`);
  return data;
}

function spacePath(space) {
  return space.split("/").map(encodeURIComponent).join("/");
}

function confirmDelete(space) {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-name").textContent = space;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}

const said = { start: "starts", resume: "may be visited again", restart: "starts anew", stop: "is stopped", pause: "is paused", cancel: "is not built", delete: "is deleted" };

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-act]");
  if (!form) return;
  event.preventDefault();
  const space = form.closest(".acts").dataset.space;
  const act = form.dataset.act;
  if (act === "delete" && !(await confirmDelete(space))) return;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    if (act === "delete") await call("DELETE", `/api/spaces/${spacePath(space)}`);
    else await call("POST", `/api/spaces/${spacePath(space)}/${act}`);
    toast(`${space} ${said[act]}.`);
    document.dispatchEvent(new CustomEvent("acted", { detail: { space, act } }));
  } catch (problem) {
    toast(problem.message, true);
  } finally {
    button.disabled = false;
  }
});

/* A badge, or anything that is made like one. */
function setBadge(badge, word, look) {
  badge.className = `badge ${look}`;
  badge.querySelector("b").textContent = word;
}
