"use strict";
/* The search box filters what is on the page while one types; Enter asks the server for all. */

const field = document.getElementById("q");
const cards = [...document.querySelectorAll("#cards > .card")];

if (field && cards.length > 0) {
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    let shown = 0;
    for (const card of cards) {
      card.hidden = !card.textContent.toLowerCase().includes(wanted);
      shown += !card.hidden;
    }
    document.getElementById("none").hidden = shown > 0;
  });
}

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && field && !event.target.closest("input, textarea")) {
    event.preventDefault();
    field.focus();
  }
});
