"use strict";
(() => {
  const root = document.documentElement;
  addEventListener("error", (event) => {
    root.dataset.error = event.message;
  });

  const data = JSON.parse(document.getElementById("data").textContent);
  const BLANK = "\u2013";
  const TICK_STEPS = [1, 2, 3, 4, 6, 7, 12, 14, 24, 28, 48, 56, 72, 96, 168, 336, 672];
  const LETTER = 6.6; // width in pixels
  const BUTTONS = 6; // charts that have a button each; of more one is chosen from a list
  const ORDER = ["band", "forecast", "past", "reference", "truth"]; // from below to above
  const CLOCK = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(?::00(?:\.0+)?)?(?:Z|[+-]\d\d:?\d\d)?$/;
  const KEYS = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };

  function node(name, properties = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in made) made[key] = value;
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  function shape(svg, name, attributes, text = "") {
    const made = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    svg.append(made);
    return made;
  }

  function shown(value) {
    const size = Math.abs(value);
    if (size && (size < 1e-4 || size >= 1e15)) return value.toExponential();
    return value.toLocaleString("en-US", { maximumSignificantDigits: 15 });
  }

  /* Parts of a chart: lines have values, bands lower and upper bounds; null is a gap. Texts are read when needed. */

  const curves = (part) => (part.kind === "band" ? [part.lower, part.upper] : [part.values]);

  function numbers(text) {
    return text.split(",").map((one) => (one === "" ? null : Number(one)));
  }

  function read(part) {
    if (part.kind === "band") return { ...part, lower: numbers(part.lower), upper: numbers(part.upper) };
    return { ...part, values: numbers(part.values) };
  }

  function valuesAt(part, index) {
    const found = curves(part).map((values) => values[index - part.start] ?? null);
    return found.includes(null) ? null : found;
  }

  function label(part) {
    return part.origin && part.kind === "forecast" ? `${part.name} from ${part.origin}` : part.name;
  }

  function readings(parts, index) {
    return parts
      .map((part) => [part, valuesAt(part, index)])
      .filter(([, values]) => values)
      .map(([part, values]) => [part, values.map(shown).join(" to ")]);
  }

  /* Axes */

  function limits(parts) {
    let low = Infinity, high = -Infinity;
    for (const value of parts.flatMap(curves).flat()) {
      if (value === null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    if (low > high) return [0, 1];
    const room = high > low ? 0.05 * (high - low) : 0.1 * Math.abs(low) || 1;
    return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
  }

  function valueTicks(low, high) {
    const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
    const first = Math.ceil(low / step), values = [];
    for (let i = 0; i < 12 && (first + i) * step <= high; i++) values.push((first + i) * step);
    const largest = Math.max(-low, high), digits = -Math.floor(Math.log10(step) + 1e-9);
    return values.map((value) => {
      let text;
      if (largest >= 1e15 || step < 1e-6) {
        const more = Math.floor(Math.log10(Math.abs(value))) + digits;
        text = value ? value.toExponential(Math.min(15, Math.max(0, more))) : "0";
      } else if (largest >= 1e6 && step >= largest / 1000) {
        text = value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 3 });
      } else {
        const fraction = Math.max(0, digits);
        text = value.toLocaleString("en-US", { minimumFractionDigits: fraction, maximumFractionDigits: fraction });
      }
      return [value, text];
    });
  }

  function dateTicks(dates, anchor, most) {
    const least = dates.length / Math.max(1, most);
    const step = TICK_STEPS.find((one) => one >= least) ?? 672 * Math.ceil(least / 672);
    const places = [];
    for (let i = anchor % step; i < dates.length; i += step) places.push(i);
    const read = places.map((place) => dates[place].match(CLOCK));
    if (!read.every(Boolean)) return places.map((place) => [place, dates[place].slice(0, 20), ""]);
    const days = read.every((one) => one[2] === "00:00");
    return places.map((place, i) => (days ? [place, read[i][1], ""] : [place, read[i][2], read[i][1]]));
  }

  /* Paths: a run of values between gaps is one stroke, a single value a dash or a bar. */

  function runs(part) {
    const found = [];
    curves(part)[0].forEach((_, i) => {
      if (!valuesAt(part, part.start + i)) return;
      if (found.length && found.at(-1).at(-1) === i - 1) found.at(-1).push(i);
      else found.push([i]);
    });
    return found;
  }

  function path(part, x, y) {
    const point = (values, i) => `${x(part.start + i).toFixed(1)} ${y(values[i]).toFixed(1)}`;
    return runs(part)
      .map((run) => {
        const middle = x(part.start + run[0]);
        if (part.kind !== "band") {
          if (run.length === 1) return `M${(middle - 3).toFixed(1)} ${y(part.values[run[0]]).toFixed(1)}h6`;
          return `M${run.map((i) => point(part.values, i)).join("L")}`;
        }
        if (run.length === 1) {
          const [low, high] = [part.lower, part.upper].map((values) => y(values[run[0]]).toFixed(1));
          return `M${(middle - 4).toFixed(1)} ${low}h8V${high}h-8Z`;
        }
        const there = run.map((i) => point(part.upper, i)), back = run.reverse().map((i) => point(part.lower, i));
        return `M${there.join("L")}L${back.join("L")}Z`;
      })
      .join("");
  }

  /* One section of charts: a selector, a legend, the chosen chart, its numbers. */

  class Charts {
    constructor(section) {
      const find = (name) => section.querySelector(`.${name}`);
      [this.picker, this.name, this.legend] = ["picker", "name", "legend"].map(find);
      [this.plot, this.tip, this.caption, this.numbers] = ["plot", "tip", "caption", "numbers"].map(find);
      this.svg = this.plot.querySelector("svg");
      this.charts = data[section.dataset.of].map((chart, place) => ({ ...chart, place }));
      if (this.charts.length > BUTTONS) this.offerList(section.dataset.many);
      else if (this.charts.length > 1) this.offerButtons();
      this.listen();
      this.show(this.charts[0]);
    }

    offerButtons() {
      this.buttons = this.charts.map((chart) => {
        const button = node("button", { type: "button", textContent: chart.name, title: chart.name, dir: "auto" });
        button.addEventListener("click", () => this.choose(chart));
        return button;
      });
      this.picker.append(...this.buttons);
    }

    offerList(many) {
      const title = `Search ${many}`;
      this.search = node("input", { type: "search", placeholder: title, "aria-label": title });
      this.select = node("select", { "aria-label": "Shown in the chart" });
      this.count = node("span", { className: "count", role: "status" });
      this.search.addEventListener("input", () => {
        const found = this.fill();
        if (found.length && !found.includes(this.chart)) this.choose(found[0]);
      });
      this.select.addEventListener("change", () => this.choose(this.charts[this.select.value]));
      const back = this.stepper(-1, "\u2039", "Previous"), on = this.stepper(1, "\u203a", "Next");
      this.picker.append(this.search, node("span", { className: "steps" }, back, this.select, on), this.count);
      this.fill();
    }

    stepper(by, sign, title) {
      const button = node("button", { type: "button", textContent: sign, title, "aria-label": title });
      button.addEventListener("click", () => {
        const next = this.select.options[this.select.selectedIndex + by];
        if (next) this.choose(this.charts[next.value]);
      });
      return button;
    }

    fill() {
      const wanted = this.search.value.trim().toLowerCase();
      const found = this.charts.filter(({ name }) => name.toLowerCase().includes(wanted));
      const options = found.map((chart) => node("option", { value: chart.place, textContent: chart.name }));
      this.select.replaceChildren(...options);
      this.select.disabled = !found.length;
      this.select.value = this.chart?.place ?? 0;
      this.count.textContent = [found, this.charts].map((all) => all.length.toLocaleString("en-US")).join(" of ");
      return found;
    }

    /* Show a chart, and the one of the same name in the other sections. */
    choose(chart) {
      this.show(chart);
      for (const other of sections) {
        const same = other.charts.find(({ name }) => name === chart.name);
        if (other === this || !same) continue;
        if (other.search?.value) {
          other.search.value = "";
          other.fill();
        }
        other.show(same);
      }
    }

    listen() {
      const follow = (event) => {
        const box = this.svg.getBoundingClientRect();
        const place = ((event.clientX - box.left) / box.width) * this.width;
        this.point(Math.round(((place - this.left) / this.inner) * (this.dates.length - 1)));
      };
      this.svg.addEventListener("pointermove", follow);
      this.svg.addEventListener("pointerdown", follow);
      this.svg.addEventListener("pointerleave", (event) => {
        if (event.pointerType === "mouse") this.hide();
      });
      this.svg.addEventListener("blur", () => this.hide());
      this.svg.addEventListener("keydown", (event) => {
        if (event.key === "Escape") this.hide();
        if (!(event.key in KEYS)) return;
        event.preventDefault();
        this.point(this.at === null ? this.first : this.at + KEYS[event.key]);
      });
      this.numbers?.addEventListener("toggle", () => this.list());
      new ResizeObserver(() => {
        if (this.plot.clientWidth && this.plot.clientWidth !== this.width) this.draw();
      }).observe(this.plot);
    }

    show(chart) {
      this.chart = chart;
      this.parts = chart.parts.map(read);
      this.dates = data.dates[chart.dates];
      this.first = Math.min(...chart.starts);
      this.bands = [...new Set(this.parts.filter((part) => part.kind === "band").map((part) => part.name))];
      this.name.textContent = chart.name;
      this.caption.textContent = chart.caption;
      if (this.select) this.select.value = chart.place;
      this.buttons?.forEach((button, i) => button.setAttribute("aria-pressed", this.charts[i] === chart));
      const there = this.parts.filter((part) => runs(part).length);
      const kinds = new Map(there.map((part) => [`${part.kind} ${part.name}`, part]));
      this.legend.replaceChildren(
        ...[...kinds.values()].map((part) => node("li", {}, this.swatch(part), node("bdi", {}, part.name)))
      );
      this.draw();
      this.list();
    }

    style(part) {
      return part.kind === "band" ? `band band-${Math.min(3, this.bands.indexOf(part.name))}` : `line ${part.kind}`;
    }

    swatch(part) {
      const svg = document.createElementNS(this.svg.namespaceURI, "svg");
      svg.setAttribute("viewBox", "0 0 26 12");
      svg.setAttribute("class", "swatch");
      svg.setAttribute("aria-hidden", "true");
      shape(svg, "path", { class: this.style(part), d: part.kind === "band" ? "M0 1H26V11H0Z" : "M1 6H25" });
      return svg;
    }

    draw() {
      const { svg, chart, dates, parts } = this;
      const width = (this.width = Math.max(260, this.plot.clientWidth || 900));
      const height = width < 560 ? 260 : 340, top = 18;
      const [low, high] = limits(parts), marks = valueTicks(low, high);
      this.left = 14 + LETTER * Math.max(...marks.map(([, text]) => text.length), 3);
      this.inner = width - this.left - 14;
      const size = LETTER * (CLOCK.test(dates[0]) ? 10 : Math.min(20, dates[0].length)) + 24;
      const days = dateTicks(dates, this.first, Math.floor(this.inner / size));
      const bottom = height - (days.some(([, , below]) => below) ? 40 : 26);
      const x = (this.x = (i) => this.left + (dates.length < 2 ? 0.5 : i / (dates.length - 1)) * this.inner);
      const y = (this.y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top));
      svg.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.setAttribute("aria-label", `Chart of ${chart.name}; the arrow keys move through its dates`);
      svg.setAttribute("aria-valuemin", 0);
      svg.setAttribute("aria-valuemax", dates.length - 1);
      for (const [value, text] of marks) {
        shape(svg, "path", { class: "grid", d: `M${this.left} ${y(value)}H${width - 14}` });
        shape(svg, "text", { x: this.left - 8, y: y(value) + 4, "text-anchor": "end" }, text);
      }
      for (const [place, text, below] of days) {
        const half = (LETTER * Math.max(text.length, below.length)) / 2;
        if (x(place) - half < 0 || x(place) + half > width) continue;
        shape(svg, "path", { class: "tick", d: `M${x(place)} ${bottom}v5` });
        shape(svg, "text", { x: x(place), y: bottom + 18, "text-anchor": "middle" }, text);
        shape(svg, "text", { x: x(place), y: bottom + 32, "text-anchor": "middle" }, below);
      }
      shape(svg, "path", { class: "tick", d: `M${this.left} ${bottom}H${width - 14}` });
      for (const start of chart.starts) {
        const place = x(start && start - 1);
        shape(svg, "path", { class: "start", d: `M${place} ${top}V${bottom}` });
        if (chart.starts.length > 1) continue;
        const fits = place + 60 < width;
        const anchor = { x: place + (fits ? 6 : -6), y: top - 5, "text-anchor": fits ? "start" : "end" };
        shape(svg, "text", anchor, "forecast");
      }
      for (const part of [...parts].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind))) {
        shape(svg, "path", { class: this.style(part), d: path(part, x, y) });
        const before = parts[0].values[part.start - 1] ?? null; // of the past, which a forecast goes on from
        if (part.kind === "forecast" && before !== null && part.values[0] !== null) {
          const [from, to] = [[part.start - 1, before], [part.start, part.values[0]]].map(([i, v]) => `${x(i)} ${y(v)}`);
          shape(svg, "path", { class: this.style(part), d: `M${from}L${to}` });
        }
      }
      this.guide = shape(svg, "g", { class: "guide" });
      this.span = [top, bottom];
      this.hide();
    }

    hide() {
      this.at = null;
      this.tip.hidden = true;
      this.guide.replaceChildren();
      this.tell(this.first);
    }

    tell(index) {
      const values = readings(this.parts, index).map(([part, text]) => `${label(part)} ${text}`);
      this.svg.setAttribute("aria-valuenow", index);
      this.svg.setAttribute("aria-valuetext", [this.dates[index], ...values].join(", "));
    }

    point(index) {
      this.at = Math.max(0, Math.min(this.dates.length - 1, index));
      const place = this.x(this.at), found = readings(this.parts, this.at);
      this.guide.replaceChildren();
      shape(this.guide, "path", { d: `M${place} ${this.span[0]}V${this.span[1]}` });
      for (const [part] of found) {
        if (part.kind === "band") continue;
        const [value] = valuesAt(part, this.at);
        shape(this.guide, "circle", { class: part.kind, cx: place, cy: this.y(value), r: 4 });
      }
      const rows = found.map(([part, text]) =>
        node("div", {}, this.swatch(part), node("bdi", { textContent: label(part) }), node("b", { textContent: text }))
      );
      this.tip.replaceChildren(node("strong", { textContent: this.dates[this.at] }), ...rows);
      if (!rows.length) this.tip.append(node("div", { textContent: "no value" }));
      this.tip.hidden = false;
      const scale = this.plot.clientWidth / this.width, before = place > this.width / 2;
      const edge = place * scale + (before ? -14 - this.tip.offsetWidth : 14);
      const most = this.plot.clientWidth - this.tip.offsetWidth;
      this.tip.style.left = `${Math.max(0, Math.min(most, edge))}px`;
      this.tell(this.at);
    }

    list() {
      if (!this.numbers?.open) return;
      const parts = this.parts.filter((part) => part.start >= this.first);
      const heads = parts.flatMap((part) =>
        part.kind === "band" ? [`${part.name}, lower`, "upper"] : [part.name]
      );
      const head = ["date", ...heads].map((text) => node("th", { scope: "col", textContent: text }));
      const body = this.dates.slice(this.first).map((date, step) => {
        const cells = parts.flatMap(curves).map((values) => values[step]);
        const texts = cells.map((value) => (typeof value === "number" ? shown(value) : BLANK));
        const row = node("tr", {}, node("th", { scope: "row", className: "date", textContent: date }));
        row.append(...texts.map((text) => node("td", { className: "n", textContent: text })));
        return row;
      });
      const table = node("table", {}, node("thead", {}, node("tr", {}, ...head)), node("tbody", {}, ...body));
      this.numbers.querySelector(".scroll").replaceChildren(table);
    }
  }

  /* Tables sort by a click on a heading; cells without a value stay below. */

  function sortable(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const key = (row, column) => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", { numeric: true }) : a - b);
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        const rows = [...body.rows].map((row) => [key(row, column), row]);
        rows.sort(([a], [b]) => (a === "") - (b === "") || sign * compare(a, b));
        body.append(...rows.map(([, row]) => row));
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      });
    });
  }

  const sections = [...document.querySelectorAll(".charts")].map((section) => new Charts(section));
  document.querySelectorAll("table.sortable").forEach(sortable);
  root.dataset.ready = "yes";
})();
