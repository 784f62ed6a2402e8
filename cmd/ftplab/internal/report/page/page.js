"use strict";
// Everything can be read without this script. It moves with the arrow keys, marks the
// step that is on the screen, and tells of the byte that is pointed at.
(() => {
  const sections = [...document.querySelectorAll("main > section")];
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash, a]));
  const nav = document.querySelector("nav");

  // The section on the screen is the last one that begins in its upper half, and at the
  // end of the page the last of all.
  const current = () => {
    const end = scrollY > 0 && scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
    return end ? sections.length - 1 : sections.findLastIndex((s) => s.getBoundingClientRect().top < innerHeight / 2);
  };

  const mark = () => {
    const here = sections[current()];
    for (const [hash, a] of links) {
      if (here && hash === "#" + here.id) {
        a.setAttribute("aria-current", "step");
        nav.scrollLeft = a.offsetLeft - nav.clientWidth / 2;
      } else {
        a.removeAttribute("aria-current");
      }
    }
  };

  const go = (section) => {
    history.replaceState(null, "", "#" + section.id);
    section.scrollIntoView();
    section.querySelector("h2").focus({ preventScroll: true });
  };

  // fields is the frame's bytes: one of them can be tabbed to, the arrow keys reach the rest.
  const fields = [...document.querySelectorAll(".bytes a")];
  const readout = document.querySelector(".readout");
  let shown;
  const show = (a) => {
    for (const b of [shown, a]) {
      if (b) {
        b.classList.toggle("shown", b === a);
        document.querySelector(b.hash).classList.toggle("shown", b === a);
      }
    }
    shown = a;
    const [bytes, layer, name, meaning] = [...document.querySelector(a.hash).cells].map((c) => c.textContent);
    const strong = document.createElement("b");
    strong.textContent = name;
    readout.replaceChildren(layer + ", bytes " + bytes + ": ", strong, " " + meaning);
  };
  fields.forEach((a, i) => {
    a.tabIndex = i === 0 ? 0 : -1;
    a.addEventListener("pointerenter", () => show(a));
    a.addEventListener("focus", () => show(a));
  });

  document.addEventListener("keydown", (e) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (!step || e.altKey || e.ctrlKey || e.metaKey || e.shiftKey) return;
    const field = fields.indexOf(document.activeElement);
    const next = field >= 0 ? fields[field + step] : sections[current() + step];
    if (!next) return;
    e.preventDefault();
    if (field >= 0) {
      fields[field].tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    } else {
      go(next);
    }
  });

  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      mark();
    });
  }, { passive: true });

  for (const hidden of document.querySelectorAll(".hint, .readout")) hidden.hidden = false;
  mark();
})();
