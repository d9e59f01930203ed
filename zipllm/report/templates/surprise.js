"use strict";
// The card beside a token, the arrow keys, and the mark on the strip. All text goes in as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const text = document.getElementById("text");
  const card = document.getElementById("card");
  const here = document.getElementById("here");
  const spans = text.children;
  const places = new Map(Array.from(spans, (span, unit) => [span, unit]));
  const lengths = data.unit;
  const firsts = [0];
  for (const count of lengths) firsts.push(firsts[firsts.length - 1] + count);
  const totals = [0];
  const offsets = [0];
  data.bits.forEach((bits, index) => {
    totals.push(totals[index] + bits);
    offsets.push(offsets[index] + data.length[index]);
  });
  const lane = (token) => {
    let number = 0;
    while (number + 1 < data.lanes.length && data.lanes[number + 1] <= token) number += 1;
    return number;
  };
  const numbers = (value, digits = 0) =>
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const percent = (value) => (value >= 0.001 ? `${numbers(100 * value, value < 0.01 ? 2 : 1)} %` : `1 in ${numbers(1 / value)}`);
  const spaced = (words) => words.replaceAll(" ", "\u2423");
  const make = (name, words, parent, style) => {
    const element = document.createElement(name);
    if (words !== undefined) element.textContent = words;
    if (style) element.className = style;
    if (parent) parent.append(element);
    return element;
  };

  function describe(token) {
    const section = document.createElement("section");
    const bits = data.bits[token];
    const size = data.length[token];
    make("h3", spaced(data.words[data.id[token]]), section);
    const [first, last] = [offsets[token], offsets[token] + size - 1];
    const place = size === 1 ? `byte ${numbers(first)}` : `bytes ${numbers(first)} to ${numbers(last)}`;
    make("p", place + (data.lanes.length > 1 ? `, lane ${lane(token) + 1} of ${data.lanes.length}` : ""), section);
    const list = make("dl", undefined, section);
    const fact = (name, value) => { make("dt", name, list); make("dd", value, list); };
    fact("cost", `${numbers(bits, 2)} bits, ${numbers(bits / size, 2)} a byte`);
    if (data.frequency) {
      const p = data.frequency[token] / data.whole;
      const alone = -Math.log2(p);
      if (data.history) {
        const saved = alone - bits;
        fact("Transformer alone", `${numbers(alone, 2)} bits`);
        fact("the history", Math.abs(saved) < 0.005 ? "changed nothing" : `${saved > 0 ? "saved" : "added"} ${numbers(Math.abs(saved), 2)} bits`);
      }
      fact("Transformer says", `${percent(p)}, rank ${numbers(data.rank[token])}`);
    }
    fact("sum up to here", `${numbers(totals[token + 1], 1)} bits, ${numbers(totals[token + 1] / 8, 1)} bytes`);
    if (data.top) {
      make("p", "The Transformer expected", section);
      const best = make("ol", undefined, section);
      for (let place = 0; place < data.best; place += 1) {
        const id = data.top[token * data.best + place];
        const line = make("li", undefined, best, id === data.id[token] ? "came" : "");
        make("span", spaced(data.words[id]), line);
        make("span", percent(data.topFrequency[token * data.best + place] / data.whole), line);
      }
    }
    return section;
  }

  let current = -1;
  function show(unit) {
    if (unit === current) return;
    current = unit;
    card.replaceChildren();
    const count = lengths[unit];
    if (count > 1) make("p", `${count} tokens make up these bytes:`, card);
    for (let token = firsts[unit]; token < Math.min(firsts[unit] + 4, firsts[unit + 1]); token += 1) card.append(describe(token));
    if (count > 4) make("p", `and ${count - 4} more tokens`, card);
    card.hidden = false;
    const box = spans[unit].getClientRects()[0];
    const [width, height] = [card.offsetWidth, card.offsetHeight];
    const below = box.bottom + 8;
    const top = below + height < innerHeight ? below : Math.max(4, box.top - 8 - height);
    card.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
    card.style.top = `${top}px`;
    const x = (1000 * offsets[firsts[unit]]) / data.size;
    here.setAttribute("x1", x);
    here.setAttribute("x2", x);
    here.removeAttribute("visibility");
  }
  function hide() {
    current = -1;
    card.hidden = true;
  }
  const unitOf = (element) => {
    const span = element instanceof Element ? element.closest("#text > span") : null;
    return span ? places.get(span) : -1;
  };
  let focused = 0;
  function go(unit) {
    focused = Math.max(0, Math.min(spans.length - 1, unit));
    const span = spans[focused];
    span.tabIndex = -1;
    text.tabIndex = -1; // so that Shift+Tab leaves
    span.focus({ preventScroll: true });
    span.scrollIntoView({ block: "nearest" });
    current = -1;
    show(focused);
  }

  text.addEventListener("pointerover", (event) => { const unit = unitOf(event.target); if (unit >= 0) show(unit); });
  text.addEventListener("pointerleave", hide);
  text.addEventListener("click", (event) => { const unit = unitOf(event.target); if (unit >= 0) focused = unit; });
  text.addEventListener("focus", () => go(focused));
  text.addEventListener("focusout", (event) => {
    if (text.contains(event.relatedTarget)) return;
    text.tabIndex = 0;
    hide();
  });
  addEventListener("scroll", () => { if (!text.contains(document.activeElement)) hide(); }, { passive: true });
  text.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10 };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) go(focused + steps[event.key]);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(spans.length - 1);
    else if (event.key === "Escape") hide();
    else return;
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href^='#u']") : null;
    if (!link) return;
    event.preventDefault();
    focused = Number(link.getAttribute("href").slice(2));
    spans[focused].scrollIntoView({ block: "center" });
    go(focused);
  });
})();
