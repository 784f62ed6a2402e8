// The faults of the page as it stands on the screen, in words.
(() => {
  const faults = [];
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const seen = (e) => e.getClientRects().length > 0;

  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) faults.push(`it is ${width} wide on a screen of ${innerWidth}`);

  const ids = all("[id]").map((e) => e.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) < i))) faults.push(`two elements are #${id}`);
  for (const a of all("a[href]")) {
    if (!ids.includes(a.hash.slice(1))) faults.push(`nothing is at ${a.hash}`);
  }
  for (const e of all("[aria-labelledby]")) {
    for (const id of e.getAttribute("aria-labelledby").split(" ")) {
      if (!ids.includes(id)) faults.push(`a label is missing: ${id}`);
    }
  }

  let last = 0;
  for (const h of all("h1, h2, h3, h4, h5, h6")) {
    const level = Number(h.localName[1]);
    if (level > last + 1) faults.push(`a heading of level ${level} follows one of ${last}: ${h.textContent}`);
    last = level;
  }
  for (const th of all("th:not([scope])")) faults.push(`a table header without scope: ${th.textContent}`);
  for (const table of all("table")) {
    if (!table.caption) faults.push(`a table without caption: ${table.className}`);
  }

  for (const svg of all("svg[role=img]").filter(seen)) {
    const sheet = svg.viewBox.baseVal;
    const texts = all("text", svg).map((t) => [t, t.getBBox()]);
    for (const [t, box] of texts) {
      const over = Math.max(-box.x, -box.y, box.x + box.width - sheet.width, box.y + box.height - sheet.height);
      if (over > 4) { // small letters are rounded to pixels
        faults.push(`a text leaves its drawing: ${t.textContent}`);
      }
      for (const [other, its] of texts) {
        if (other !== t && box.x < its.x + its.width && its.x < box.x + box.width && box.y + 4 < its.y + its.height && its.y + 4 < box.y + box.height) {
          faults.push(`a text lies over another: ${t.textContent} / ${other.textContent}`);
        }
      }
    }
  }
  return faults;
})()
