// Looks again, every few seconds, at what is still moving on a page of the desk. The page works
// without it: its link "Look again" does the same.
"use strict";
const EVERY = 4000;

async function lookAgain() {
  const moving = document.querySelectorAll("[data-live]");
  if (!moving.length) return;
  if (!document.hidden) {
    let answer;
    try {
      answer = await fetch(moving[0].dataset.live, { credentials: "same-origin" });
    } catch {
      answer = null; // The server is away for a moment.
    }
    // Signed out meanwhile: the page stays as it was.
    if (answer && (answer.redirected || !answer.ok)) return;
    if (answer) update(moving, new DOMParser().parseFromString(await answer.text(), "text/html"));
  }
  setTimeout(lookAgain, EVERY);
}

function update(moving, page) {
  for (const old of moving) {
    const fresh = page.getElementById(old.id);
    if (!fresh) continue;
    // What is read aloud changes only where its words do, and never under a reader's focus.
    if (fresh.textContent !== old.textContent && !old.contains(document.activeElement)) {
      old.replaceChildren(...fresh.childNodes);
    }
    if (!("live" in fresh.dataset)) old.removeAttribute("data-live");
  }
}

setTimeout(lookAgain, EVERY);
