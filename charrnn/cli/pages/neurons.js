"use strict";
// Colours a text by a unit or by surprise, and shows what the model expected at a character.
// All text is inserted as text: nothing of it is ever read as HTML.
(() => {
  const data = JSON.parse(document.getElementById("neurons-data").textContent);
  const panel = document.getElementById("text");
  const tip = document.getElementById("tip");
  const scale = document.getElementById("scale");

  const decoded = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const numbers = (text, bytes) => {
    const buffer = decoded(text).buffer;
    return bytes === 4 ? new Uint32Array(buffer) : bytes === 2 ? new Uint16Array(buffer) : new Uint8Array(buffer);
  };

  // Where each token ends in the text, in UTF-16 units as strings count them.
  const lengths = data.lengths ? numbers(data.lengths, 2) : null;
  const count = lengths ? lengths.length : data.text.length;
  const ends = new Uint32Array(count);
  for (let i = 0, at = 0; i < count; i += 1) ends[i] = at += lengths ? lengths[i] : 1;
  const begin = (i) => (i ? ends[i - 1] : 0);
  const token = (i) => data.text.slice(begin(i), ends[i]);

  const surprise = numbers(data.surprise, 1);
  const guesses = numbers(data.guesses, data.idBytes);
  const shares = numbers(data.shares, 1);
  const ranks = numbers(data.ranks, 1);
  const values = new Map();
  let chosen = 0;
  let current = -1;

  const unitValues = (index) => {
    if (!values.has(index)) values.set(index, new Int8Array(decoded(data.units[index].values).buffer));
    return values.get(index);
  };

  const colour = (i) => {
    if (chosen < 0) {
      const level = Math.min(8, Math.round(surprise[i] / 8 / 10 * 8));
      return level ? `s${level}` : "";
    }
    const value = unitValues(chosen)[i];
    const level = Math.round(Math.abs(value) / 127 * 8);
    return level ? `${value > 0 ? "h" : "l"}${level}` : "";
  };

  const classOf = (i) => (data.text.charCodeAt(begin(i)) === 10 ? `end ${colour(i)}` : colour(i));

  // A block is plain text until it is near the window; then each of its tokens is an element.
  const blocks = [];
  const open = (block) => {
    if (block.open) return;
    const part = document.createDocumentFragment();
    for (let i = block.from; i < block.to; i += 1) {
      const span = document.createElement("span");
      span.textContent = token(i);
      span.className = classOf(i);
      part.append(span);
    }
    block.element.replaceChildren(part);
    block.open = true;
  };
  const paint = () => {
    for (const block of blocks) {
      if (!block.open) continue;
      let i = block.from;
      for (const span of block.element.children) {
        span.className = i === current ? `${classOf(i)} here` : classOf(i);
        i += 1;
      }
    }
  };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) open(blocks[entry.target.dataset.number]);
  }, { rootMargin: "800px" });
  for (let from = 0; from < count;) {
    let to = Math.min(count, from + 1200);
    // A block ends with a line, because each begins on a line of its own.
    while (to < count && to < from + 4000 && data.text.charCodeAt(ends[to - 1] - 1) !== 10) to += 1;
    const element = document.createElement("div");
    element.className = "block";
    element.dataset.number = blocks.length;
    element.textContent = data.text.slice(begin(from), ends[to - 1]);
    panel.append(element);
    blocks.push({ element, from, to, open: false });
    from = to;
  }
  blocks.forEach((block) => near.observe(block.element));

  const spanOf = (i) => {
    const block = blocks.find((each) => i < each.to);
    open(block);
    return block.element.children[i - block.from];
  };
  const tokenOf = (span) => {
    const block = span.parentElement && blocks[span.parentElement.dataset.number];
    if (!block || !block.open || span.parentElement.className !== "block") return -1;
    return block.from + Array.prototype.indexOf.call(block.element.children, span);
  };

  const visible = (text) => text.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥") || "(a part of a character)";
  const made = (name, text, className = "") => {
    const element = document.createElement(name);
    element.textContent = text;
    element.className = className;
    return element;
  };
  const percent = (share) => (share < 0.01 ? "<1%" : `${Math.round(share * 100)}%`);

  const describe = (i) => {
    const head = made("div", "");
    head.append(made("b", visible(token(i))));
    head.append(` cost ${(surprise[i] / 8).toFixed(1)}${surprise[i] === 255 ? "+" : ""} bits`);
    if (chosen >= 0) {
      const value = unitValues(chosen)[i] / 127;
      head.append(`; ${data.units[chosen].unit} is ${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`);
    }
    const list = document.createElement("ol");
    for (let k = 0; k < data.most; k += 1) {
      const id = guesses[i * data.most + k];
      const share = shares[i * data.most + k] / 255;
      const item = made("li", "", ranks[i] === k ? "own" : "");
      item.append(made("span", visible(data.vocabulary[id])), made("span", percent(share)));
      const bar = made("i", "");
      bar.style.width = `${Math.max(1, share * 100)}%`;
      item.append(bar);
      list.append(item);
    }
    tip.replaceChildren(head, made("div", "expected here:", "soft"), list);
  };

  const show = (i) => {
    if (i < 0 || i >= count) return;
    if (current >= 0) spanOf(current).classList.remove("here");
    current = i;
    const span = spanOf(i);
    span.classList.add("here");
    describe(i);
    tip.hidden = false;
    const place = span.getClientRects()[0] || span.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const below = place.bottom + 8 + size.height < window.innerHeight;
    tip.style.left = `${Math.max(8, Math.min(place.left, window.innerWidth - size.width - 8))}px`;
    tip.style.top = `${below ? place.bottom + 8 : Math.max(8, place.top - size.height - 8)}px`;
  };
  const hide = () => {
    if (current >= 0) spanOf(current).classList.remove("here");
    tip.hidden = true;
  };

  panel.addEventListener("mousemove", (event) => {
    const i = tokenOf(event.target);
    if (i >= 0 && (i !== current || tip.hidden)) show(i);
  });
  panel.addEventListener("mouseleave", hide);
  panel.addEventListener("click", (event) => show(tokenOf(event.target)));
  panel.addEventListener("blur", hide);

  // The token above or below: the nearest one by place in the window.
  const vertical = (step) => {
    const here = spanOf(current).getClientRects()[0];
    for (let i = current + step; i >= 0 && i < count && Math.abs(i - current) < 2000; i += step) {
      const there = spanOf(i).getClientRects()[0];
      const apart = there && Math.abs(there.top - here.top) > here.height / 2;
      if (apart && (step < 0 ? there.left <= here.left : there.right > here.left || token(i).includes("\n"))) return i;
    }
    return current;
  };
  panel.addEventListener("keydown", (event) => {
    const start = Math.max(0, current);
    const moves = {
      ArrowRight: () => (current < 0 ? 0 : start + 1),
      ArrowLeft: () => start - 1,
      ArrowDown: () => (current < 0 ? 0 : vertical(1)),
      ArrowUp: () => (current < 0 ? 0 : vertical(-1)),
      Home: () => 0,
      End: () => count - 1,
    };
    if (event.key === "Escape") hide();
    if (!moves[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const i = Math.max(0, Math.min(count - 1, moves[event.key]()));
    spanOf(i).scrollIntoView({ block: "nearest" });
    show(i);
  });
  panel.addEventListener("focus", () => { if (panel.matches(":focus-visible") && current >= 0) show(current); });

  const choose = (index) => {
    chosen = index;
    scale.className = index < 0 ? "scale cost" : "scale";
    scale.firstElementChild.textContent = index < 0 ? "0 bits" : "−1";
    scale.lastElementChild.textContent = index < 0 ? "10 bits and more" : "+1";
    paint();
    if (!tip.hidden && current >= 0) describe(current);
  };
  for (const input of document.querySelectorAll("input[name=unit]")) {
    input.addEventListener("change", () => choose(Number(input.value)));
    if (input.checked) choose(Number(input.value));
  }
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
