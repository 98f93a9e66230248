"use strict";

(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const { run, summary, systems, unjudged, commands, folder, rerun } = read("data-run");
  const dialogues = read("data-dialogues");
  const comparison = summary.comparison;
  const find = (id) => document.getElementById(id);

  const LONG = 20000;
  const MANY = 60;
  const ROW_HEIGHT = 38;

  // --- elements: text goes in as text, and in no other way

  function make(tag, properties, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) {
        element.setAttribute(name, value);
      }
    }
    element.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
    return element;
  }

  const place = (element, left, width) => {
    element.style.left = `${100 * left}%`;
    if (width !== undefined) element.style.width = `${100 * width}%`;
    return element;
  };

  // --- numbers

  const plural = (number, noun) => `${whole(number)} ${noun}${number === 1 ? "" : "s"}`;
  const whole = (number) => number.toLocaleString("en-US");
  const fixed = (value) => (value === null || value === undefined ? "n/a" : value.toFixed(4));
  const signed = (value) =>
    value === null ? "n/a" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
  const seconds = (value) => (value === null ? "–" : value < 0.01 ? "< 0.01 s" : `${value.toFixed(2)} s`);
  const moment = (stamp) => (Number.isNaN(new Date(stamp).getTime()) ? String(stamp)
    : new Date(stamp).toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC"));
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  function quantile(sorted, share) {
    const at = (sorted.length - 1) * share;
    const low = sorted[Math.floor(at)];
    return low + (sorted[Math.ceil(at)] - low) * (at % 1);
  }

  // --- head

  function showHead() {
    find("subtitle").append(
      [summary.model, `client ${summary.client}`, moment(run.started_at)].join(" · "),
    );
    const latencies = [];
    for (const dialogue of dialogues) {
      for (const turn of dialogue.turns) if (turn.latency_s !== null) latencies.push(turn.latency_s);
    }
    latencies.sort((a, b) => a - b);
    const { counts, tokens } = summary;
    const selected = counts.selected === counts.dialogues ? "" : ` of ${whole(counts.dialogues)}`;
    const figures = [
      ["Dialogues", whole(counts.selected) + selected],
      ["Calls", whole(counts.calls)],
      ["Errors", whole(counts.errors)],
      ["Not run", counts.not_run ? whole(counts.not_run) : null],
      ["Reused", counts.reused ? whole(counts.reused) : null],
      ["Tokens in", whole(tokens.input)],
      ["Tokens out", whole(tokens.output)],
      ["Cost", showCost()],
      ["Latency, median", latencies.length ? seconds(quantile(latencies, 0.5)) : null],
      ["Latency, 95 %", latencies.length ? seconds(quantile(latencies, 0.95)) : null],
    ];
    for (const [name, value] of figures) {
      if (value !== null) find("figures").append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
    }
  }

  function showCost() {
    const { usd, avoided_usd: avoided } = summary.cost;
    if (summary.client === "mock") return null;
    if (avoided !== undefined) return avoided === null ? "nothing" : `$0 ($${avoided.toFixed(4)} avoided)`;
    return usd === null ? "unknown" : `$${usd.toFixed(4)}`;
  }

  // --- metrics

  function showMetrics() {
    const list = make("div", { class: "metrics", role: "list" });
    for (const name of summary.metrics) list.append(showMetric(name));
    find("metrics").append(list);
    showLegend();
    const others = Object.entries(summary).filter(
      ([name, value]) => name.endsWith("_rate") || name.startsWith("fact_coverage_")
        ? typeof value === "number" && !summary.metrics.includes(name) : false,
    );
    if (others.length) {
      const told = others.map(([name, value]) => make("span", {}, `${name} `, make("b", {}, fixed(value))));
      find("metrics").append(make("p", { class: "others" }, told));
    }
  }

  function showLegend() {
    const kinds = [["range", "95 % interval"], ["limit", "gate"], ["before", "baseline"]]
      .filter(([kind]) => find("metrics").querySelector(`.axis .${kind}`));
    const legend = kinds.map(([kind, title]) => make("span", {}, make("i", { class: kind }), title));
    if (legend.length) find("metrics").append(make("p", { class: "legend", "aria-hidden": "true" }, legend));
  }

  function showMetric(name) {
    const interval = summary.intervals[name];
    const words = [];
    const notes = [];
    if (interval) {
      words.push(`${fixed(interval.low)} to ${fixed(interval.high)}`);
      notes.push(`${Math.round(100 * interval.level)} % interval, n = ${whole(interval.n)}, ${interval.method}`);
      if (interval.warning) notes.push(interval.warning);
    } else if (summary.no_interval[name]) notes.push(`no interval: ${summary.no_interval[name]}`);
    if (summary.metric_errors[name]) notes.push(`failed: ${summary.metric_errors[name]}`);
    return make("div", { class: "metric", role: "listitem" },
      make("span", { class: "name" }, name),
      make("span", { class: "value" }, fixed(summary[name])),
      drawMetric(name, summary[name], interval),
      make("span", { class: "reach" }, words, make("small", {}, notes.join("; "))));
  }

  function drawMetric(name, value, interval) {
    const limits = (run.experiment.gates || {})[name] || {};
    const baseline = comparison && comparison[name] ? comparison[name].baseline : null;
    const marks = [
      ["limit", limits.min, "minimum"], ["limit", limits.max, "maximum"],
      ["limit", limits.min_lower_bound, "least lower bound"],
      ["limit", limits.max_upper_bound, "most upper bound"],
      ["before", baseline, "baseline"],
    ].filter(([, at]) => typeof at === "number");
    const shown = [value, interval && interval.low, interval && interval.high, ...marks.map((mark) => mark[1])]
      .filter((number) => typeof number === "number");
    const reach = [Math.min(0, ...shown), Math.max(...shown, 0)];
    const [from, to] = reach[0] < 0 || reach[1] > 1 ? reach : [0, 1];
    const scale = (number) => (number - from) / (to - from || 1);
    const said = [`${name} ${fixed(value)}`, ...marks.map(([, at, what]) => `${what} ${at}`)];
    const axis = make("span", { class: "axis", role: "img", "aria-label": said.join(", "), title: said.join("\n") });
    if (interval) {
      const [low, high] = [scale(interval.low), scale(interval.high)];
      axis.append(place(make("span", { class: "range" }), low, high - low));
    }
    for (const [kind, at] of marks) axis.append(place(make("span", { class: kind }), scale(at)));
    if (value !== null) axis.append(place(make("span", { class: "dot" }), scale(value)));
    axis.append(
      make("span", { class: "from" }, String(+from.toPrecision(3))),
      make("span", { class: "to" }, String(+to.toPrecision(3))));
    return axis;
  }

  // --- comparison

  const VERDICTS = { better: "good", worse: "bad" };
  const contrasts = () =>
    Object.entries(comparison || {}).filter(([, contrast]) => contrast && contrast.verdict);

  function showComparison() {
    if (!comparison) return;
    const section = find("comparison");
    section.hidden = false;
    section.append(make("p", { class: "note" },
      `${plural(comparison.pairs, "pair")} of dialogues, baseline `, make("code", {}, comparison.baseline)));
    const rows = contrasts();
    const ends = rows.flatMap(([, c]) => [c.low, c.high, c.difference]).filter((end) => end !== null);
    const most = Math.max(0.01, ...ends.map(Math.abs)) * 1.05;
    const body = make("tbody", {}, rows.map(([name, contrast]) => showContrast(name, contrast, most)));
    const titles = ["Metric", "Baseline", "This run", "Difference", "", "p", "Verdict"];
    const head = make("tr", {}, titles.map((title) => make("th", { scope: "col" }, title)));
    section.append(make("div", { class: "wide" },
      make("table", { class: "plain" }, make("thead", {}, head), body)));
    for (const note of comparison.notes || []) section.append(make("p", { class: "note" }, `Left out: ${note}`));
    for (const [name, contrast] of rows) {
      const changed = [["worse", contrast.lost], ["better", contrast.gained]].filter(([, ids]) => ids.length);
      if (changed.length) section.append(listChanged(name, changed));
    }
  }

  function showContrast(name, contrast, most) {
    const { low, high, difference } = contrast;
    const scale = (number) => 0.5 + number / (2 * most);
    const axis = make("span", { class: "axis zero", role: "img", "aria-label": contrast.sentence });
    if (low !== null && high !== null) {
      axis.append(place(make("span", { class: "range" }), scale(low), (high - low) / (2 * most)));
    }
    if (difference !== null) axis.append(place(make("span", { class: "dot" }), scale(difference)));
    const reach = low === null ? contrast.reason : `${signed(low)} to ${signed(high)}`;
    return make("tr", {},
      make("th", { scope: "row" }, name),
      make("td", { class: "number" }, fixed(contrast.baseline)),
      make("td", { class: "number" }, fixed(contrast.candidate)),
      make("td", { class: "number" }, make("b", {}, signed(difference)), make("small", {}, reach)),
      make("td", {}, axis),
      make("td", { class: "number" }, fixed(contrast.p_adjusted)),
      make("td", {}, badge(contrast.verdict, VERDICTS[contrast.verdict] || "calm")));
  }

  function listChanged(name, changed) {
    const told = changed.map(([word, ids]) => `${whole(ids.length)} ${word}`).join(", ");
    const details = make("details", {}, make("summary", {}, `Dialogues by ${name}: ${told}`));
    details.addEventListener("toggle", () => {
      if (details.childElementCount > 1) return;
      for (const [word, ids] of changed) {
        const more = ids.length > MANY ? `and ${whole(ids.length - MANY)} more` : "";
        details.append(make("p", { class: "ids" }, badge(word, VERDICTS[word]),
          ids.slice(0, MANY).map(linkDialogue), more));
      }
    });
    return details;
  }

  const linkDialogue = (id) =>
    make("button", { type: "button", class: "link", onclick: () => openDialogue(id) }, id);

  const badge = (text, kind) => make("span", { class: `badge ${kind}` }, text);

  // --- gates and errors

  const OUTCOMES = { passed: "good", failed: "bad", inconclusive: "calm" };

  function showGates() {
    const alone = Object.entries((run.experiment.gates || {}).dialogue || {});
    const broken = dialogues.filter((dialogue) => dialogue.broken.length).length;
    if (!summary.gates.length && !alone.length) {
      find("gates").append(make("p", { class: "empty" }, "No gate is set: the numbers stand for themselves."));
      return;
    }
    const list = make("ul", { class: "gates" });
    for (const gate of summary.gates) {
      list.append(make("li", {}, badge(gate.outcome, OUTCOMES[gate.outcome] || "calm"),
        make("span", {}, gate.sentence,
          gate.outcome === "inconclusive" && !gate.holds ? " (counts as failed)" : "")));
    }
    for (const [metric, limits] of alone) {
      const bounds = Object.entries(limits).map(([bound, limit]) => `${bound} ${limit}`).join(", ");
      const judged = !unjudged.includes(metric);
      const failed = dialogues.filter((d) => d.broken.some((why) => why.startsWith(`${metric} `))).length;
      const [outcome, kind] = !judged ? ["not judged here", "calm"] : failed ? ["failed", "bad"] : ["passed", "good"];
      list.append(make("li", {}, badge(outcome, kind), make("span", {},
        `each dialogue: ${metric} ${bounds}`, failed ? `; ${whole(failed)} of ${whole(dialogues.length)} do not hold it` : "")));
    }
    find("gates").append(list);
    if (broken) find("gates").append(showOnly("Show the dialogues that break a gate", "broken"));
  }

  const showOnly = (title, filter) =>
    make("button", { type: "button", class: "link", onclick: () => chooseOnly(filter) }, title);

  function groupErrors() {
    const groups = new Map();
    for (const [at, dialogue] of dialogues.entries()) {
      for (const turn of dialogue.turns) {
        if (!turn.error) continue;
        const key = `${turn.error.type}\n${turn.error.message.replace(/[0-9a-f-]{8,}|\d+/gi, "#")}`;
        const group = groups.get(key) || { error: turn.error, members: new Set() };
        group.members.add(at);
        groups.set(key, group);
      }
    }
    return [...groups.values()].sort((a, b) => b.members.size - a.members.size);
  }

  function showErrors() {
    const groups = groupErrors();
    if (!groups.length) return;
    const section = find("errors");
    section.hidden = false;
    const list = make("ul", { class: "errors" });
    for (const [at, group] of groups.slice(0, MANY).entries()) {
      FILTERS.set(`error ${at}`, [`Error: ${group.error.type}`, (_, index) => group.members.has(index)]);
      list.append(make("li", {},
        make("span", { class: "times" }, `${whole(group.members.size)} ×`),
        make("div", {}, make("b", {}, group.error.type), make("p", { class: "text" }, cut(group.error.message, 600)),
          showOnly(group.members.size === 1 ? "Show it" : "Show these", `error ${at}`))));
    }
    section.append(list);
    if (groups.length > MANY) section.append(make("p", { class: "note" }, `and ${whole(groups.length - MANY)} more kinds`));
  }

  const cut = (text, limit) => (text.length > limit ? `${text.slice(0, limit)}…` : text);

  // --- the table of dialogues

  const LABELS = ["none", "partial", "full"];
  const isJudged = (dialogue) => dialogue.outcome === "ok";
  const result = (dialogue) => (isJudged(dialogue) && dialogue.broken.length ? "gate" : dialogue.outcome);
  const found = (dialogue) => dialogue.facts.filter((fact) => fact.found).length;
  const worst = (dialogue) => Math.max(-1, ...dialogue.refusal.map((refusal) => LABELS.indexOf(refusal.label)));
  const CUT = ["max_tokens", "model_context_window_exceeded"];
  const better = new Set(contrasts().flatMap(([, contrast]) => contrast.gained));
  const worse = new Set(contrasts().flatMap(([, contrast]) => contrast.lost));

  const FILTERS = new Map([
    ["error", ["Errors", (d) => d.outcome === "error"]],
    ["broken", ["Gate broken", (d) => d.broken.length > 0]],
    ["not_run", ["Not run", (d) => d.outcome === "not_run"]],
    ["facts", ["Facts missing", (d) => isJudged(d) && d.facts.some((fact) => !fact.found)]],
    ["refused", ["Refused", (d) => worst(d) === 2]],
    ["partly", ["Partly refused", (d) => worst(d) === 1]],
    ["cut", ["Cut off", (d) => d.turns.some((turn) => CUT.includes(turn.stop_reason))]],
    ["blank", ["Empty answer", (d) => d.turns.some((turn) => turn.answer !== null && !turn.answer.trim())]],
    ["retried", ["Retried", (d) => d.turns.some((turn) => turn.attempts.length > 1)]],
    ["worse", ["Worse than baseline", (d) => worse.has(d.id)]],
    ["better", ["Better than baseline", (d) => better.has(d.id)]],
  ]);
  const chosen = new Set();
  const own = [...new Set(dialogues.flatMap((dialogue) => Object.keys(dialogue.own)))];
  const haystacks = [];
  let current = 0;
  let opened = 0;
  let table = null;

  const rows = dialogues.map((dialogue, at) => {
    const answered = dialogue.turns.filter((turn) => turn.answer !== null);
    const tokens = answered.map((turn) => (turn.usage || {}).output_tokens).filter((count) => typeof count === "number");
    const asked = dialogue.turns.length ? dialogue.turns[0].user : dialogue.unsent[0] || "";
    const row = {
      at,
      id: dialogue.id,
      repeat: dialogue.repeat,
      asked: cut(asked, 200),
      outcome: result(dialogue),
      coverage: dialogue.coverage,
      refusal: worst(dialogue),
      tokens: tokens.length ? sum(tokens) : null,
      latency: dialogue.turns.length ? sum(dialogue.turns.map((turn) => turn.latency_s || 0)) : null,
    };
    own.forEach((name, number) => { row[`own${number}`] = dialogue.own[name] ?? null; });
    return row;
  });

  const RESULTS = {
    ok: ["ok", "quiet"], error: ["error", "bad"], not_run: ["not run", "calm"], gate: ["gate", "bad"],
  };
  const ORDER = ["error", "gate", "not_run", "ok"];
  const text = (cell) => document.createTextNode(cell.getValue() ?? "–");
  const number = (write) => (cell) => document.createTextNode(cell.getValue() === null ? "–" : write(cell.getValue()));
  const blank = (a, b, less) => (a === null || b === null ? (a === null) - (b === null) : less(a, b));
  const byNumber = (a, b) => blank(a, b, (x, y) => x - y);
  const collator = new Intl.Collator("en", { numeric: true });
  const byText = (a, b) => collator.compare(a, b);

  function showCoverage(cell) {
    const dialogue = dialogues[cell.getData().at];
    if (!dialogue.facts.length || !isJudged(dialogue)) return document.createTextNode("–");
    const bar = make("span", { class: "bar" }, place(make("span"), 0, found(dialogue) / dialogue.facts.length));
    return make("span", { class: "coverage" }, bar, `${found(dialogue)}/${dialogue.facts.length}`);
  }

  function showResult(cell) {
    const [word, kind] = RESULTS[cell.getValue()] || [cell.getValue(), "calm"];
    return badge(word, kind);
  }

  function showLabel(cell) {
    const kind = cell.getValue();
    return kind < 0 ? document.createTextNode("–") : badge(LABELS[kind], ["quiet", "warn", "bad"][kind]);
  }

  const isNarrow = window.matchMedia("(max-width: 46rem)").matches;

  const columns = () => {
    const numbers = { hozAlign: "right", headerHozAlign: "right", sorter: byNumber };
    const shows = (field) => rows.some((row) => row[field] !== null);
    const repeats = run.experiment.repeats > 1;
    return [
      { title: "#", field: "at", ...numbers, width: 64, responsive: 4, formatter: number((at) => whole(at + 1)) },
      { title: "Dialogue", field: "id", sorter: byText, minWidth: 190, widthGrow: 3, responsive: 0, formatter: text },
      repeats && { title: "Repeat", field: "repeat", ...numbers, width: 84, responsive: 3,
        formatter: number((repeat) => whole(repeat + 1)) },
      { title: "Question", field: "asked", sorter: byText, minWidth: 180, widthGrow: 5, responsive: 3, formatter: text },
      { title: "Result", field: "outcome", width: 94, responsive: 0, formatter: showResult,
        sorter: (a, b) => ORDER.indexOf(a) - ORDER.indexOf(b) },
      shows("coverage") && { title: "Facts", field: "coverage", ...numbers, width: isNarrow ? 76 : 112, responsive: 1, formatter: showCoverage },
      { title: "Refusal", field: "refusal", width: 98, responsive: 2, sorter: byNumber, formatter: showLabel },
      ...own.map((name, at) => ({ title: name, field: `own${at}`, ...numbers, minWidth: 116, responsive: 5,
        formatter: number(fixed) })),
      shows("tokens") && { title: "Tokens out", field: "tokens", ...numbers, width: 112, responsive: 6, formatter: number(whole) },
      { title: "Latency", field: "latency", ...numbers, width: 100, responsive: 6, formatter: number(seconds) },
    ].filter(Boolean);
  };

  function showTable() {
    const height = Math.max(2, rows.length) * ROW_HEIGHT + 44;
    table = new Tabulator(find("table"), {
      data: rows,
      index: "at",
      columns: columns(),
      columnDefaults: { resizable: false, titleFormatter: text, headerSortTristate: true },
      layout: "fitColumns",
      responsiveLayout: "hide",
      height: `min(70vh, ${height}px)`,
      rowHeight: ROW_HEIGHT,
      headerSortElement: "<span class='arrow'></span>",
      rowFormatter: (row) => { row.getElement().tabIndex = -1; },
    });
    table.on("rowClick", (_, row) => openAt(row.getData().at));
    table.on("dataFiltered", (_, shown) => tellCount(shown.length));
    table.on("tableBuilt", () => {
      makeHeadersKeys();
      openFromHash();
      document.documentElement.dataset.ready = "yes";
    });
    find("table").addEventListener("keydown", moveInTable);
    find("table").addEventListener("focusin", (event) => {
      const row = event.target.closest(".tabulator-row");
      if (row) current = table.getRow(row).getData().at;
    });
  }

  function makeHeadersKeys() {
    for (const header of find("table").querySelectorAll(".tabulator-col.tabulator-sortable")) {
      header.tabIndex = 0;
      header.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        header.click();
      });
    }
  }

  const shownOrder = () => table.getData("active").map((row) => row.at);

  const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };

  function moveInTable(event) {
    if (event.target.closest(".tabulator-header")) return;
    if (event.key === "Enter") openAt(current);
    else if (event.key in STEPS) focusRow(STEPS[event.key], event.target.closest(".tabulator-row") !== null);
    else return;
    event.preventDefault();
  }

  function focusRow(step, inside) {
    const order = shownOrder();
    if (!order.length) return;
    const at = order.indexOf(current);
    const next = at < 0 ? 0 : inside ? Math.min(order.length - 1, Math.max(0, at + step)) : at;
    reveal(order[next]);
  }

  function reveal(at) {
    current = at;
    const row = table.getRow(at);
    const focus = () => row.getElement().focus({ preventScroll: true });
    table.scrollToRow(row, "nearest", false).then(focus, () => {});
  }

  const tellCount = (shown) => {
    const all = plural(rows.length, run.experiment.repeats > 1 ? "row" : "dialogue");
    find("count").textContent = shown === rows.length ? all : `${whole(shown)} of ${all}`;
    find("nothing").hidden = shown > 0;
  };

  // --- search and filters

  function haystack(at) {
    if (haystacks[at] === undefined) {
      const dialogue = dialogues[at];
      const words = [dialogue.id, ...dialogue.unsent, JSON.stringify(dialogue.extra)];
      for (const turn of dialogue.turns) {
        words.push(turn.user, turn.answer || "", turn.request_id || "");
        if (turn.error) words.push(turn.error.type, turn.error.message);
      }
      for (const fact of dialogue.facts) words.push(sayFact(fact.fact));
      haystacks[at] = words.join("\n").toLowerCase();
    }
    return haystacks[at];
  }

  function applyFilters() {
    const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const tests = [...chosen].map((name) => FILTERS.get(name)[1]);
    table.setFilter(({ at }) =>
      tests.every((test) => test(dialogues[at], at)) && words.every((word) => haystack(at).includes(word)));
  }

  function prepareNothing() {
    const back = make("button", { type: "button", class: "link", onclick: clearFilters }, "Show all");
    find("nothing").append(...(rows.length ? ["No dialogue is like that. ", back] : ["No dialogue was held."]));
  }

  function showChips() {
    const chips = [...FILTERS].flatMap(([name, [title, test]]) => {
      const count = dialogues.filter(test).length;
      const hidden = !count || (name.startsWith("error ") && !chosen.has(name));
      return hidden ? [] : [make("button",
        { type: "button", class: "chip", "aria-pressed": String(chosen.has(name)), onclick: () => choose(name) },
        `${title} `, make("span", {}, whole(count)))];
    });
    find("chips").replaceChildren(...chips);
    if (chosen.size) find("chips").append(make("button", { type: "button", class: "link", onclick: clearFilters }, "Show all"));
  }

  function choose(name) {
    if (!chosen.delete(name)) chosen.add(name);
    const at = [...find("chips").children].indexOf(document.activeElement);
    showChips();
    if (at >= 0 && find("chips").children[at]) find("chips").children[at].focus();
    applyFilters();
  }

  function chooseOnly(name) {
    chosen.clear();
    find("search").value = "";
    choose(name);
    find("dialogues").scrollIntoView();
    find("dialogues").focus({ preventScroll: true });
  }

  function clearFilters() {
    chosen.clear();
    find("search").value = "";
    showChips();
    applyFilters();
    find("search").focus();
  }

  function watchSearch() {
    let timer = 0;
    find("search").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(applyFilters, 120);
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, dialog");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      find("search").focus();
      find("search").select();
    });
  }

  // --- one dialogue

  const panel = find("transcript");

  function openDialogue(id) {
    const at = dialogues.findIndex((dialogue) => dialogue.id === id);
    if (at >= 0) openAt(at);
  }

  function openAt(at) {
    current = opened = at;
    const dialogue = dialogues[at];
    panel.replaceChildren(showBar(dialogue), showTranscript(dialogue));
    if (!panel.open) panel.showModal();
    panel.scrollTop = 0;
    panel.querySelector(".close").focus({ preventScroll: true });
    const repeat = dialogue.repeat ? `&repeat=${dialogue.repeat}` : "";
    history.replaceState(null, "", `#dialogue=${encodeURIComponent(dialogue.id)}${repeat}`);
  }

  function openFromHash() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const repeat = Number(wanted.get("repeat") || 0);
    const at = dialogues.findIndex((d) => d.id === wanted.get("dialogue") && d.repeat === repeat);
    if (at >= 0) openAt(at);
  }

  function step(by) {
    const order = shownOrder();
    const at = order.indexOf(opened);
    const next = order[at < 0 ? 0 : at + by];
    if (next !== undefined) openAt(next);
  }

  function showBar(dialogue) {
    const order = shownOrder();
    const at = order.indexOf(opened);
    const turnTo = (by, title, sign) => make("button",
      { type: "button", title, "aria-label": title, disabled: order[at + by] === undefined, onclick: () => step(by) }, sign);
    const repeat = run.experiment.repeats > 1 ? `, repeat ${dialogue.repeat + 1} of ${run.experiment.repeats}` : "";
    return make("div", { class: "panel-bar" },
      make("h2", { id: "transcript-title" }, dialogue.id, make("small", {}, repeat)),
      make("span", { class: "position" }, at < 0 ? "" : `${whole(at + 1)} of ${whole(order.length)}`),
      turnTo(-1, "Previous dialogue", "←"), turnTo(1, "Next dialogue", "→"),
      make("button", { type: "button", class: "close", title: "Close", "aria-label": "Close", onclick: () => panel.close() }, "✕"));
  }

  function showTranscript(dialogue) {
    const parts = [showStanding(dialogue)];
    const system = dialogue.turns.length ? dialogue.turns[0].system : null;
    if (system !== null) parts.push(showSaid("System prompt", systems[system], "system"));
    dialogue.turns.forEach((turn, number) => parts.push(...showTurn(dialogue, turn, number)));
    for (const asked of dialogue.unsent) parts.push(showSaid("User, not sent", asked, "user unsent"));
    parts.push(showFacts(dialogue), showMore(dialogue));
    return make("div", { class: "panel-body" }, parts);
  }

  function showStanding(dialogue) {
    const [word, kind] = RESULTS[result(dialogue)] || [dialogue.outcome, "calm"];
    const badges = [badge(word, kind)];
    if (dialogue.facts.length && isJudged(dialogue)) {
      const all = found(dialogue) === dialogue.facts.length;
      badges.push(badge(`${found(dialogue)} of ${plural(dialogue.facts.length, "fact")}`, all ? "good" : "warn"));
    }
    if (worst(dialogue) > 0) badges.push(badge(`${LABELS[worst(dialogue)]} refusal`, worst(dialogue) === 2 ? "bad" : "warn"));
    if (better.has(dialogue.id)) badges.push(badge("better than baseline", "good"));
    if (worse.has(dialogue.id)) badges.push(badge("worse than baseline", "bad"));
    for (const why of dialogue.broken) badges.push(badge(why, "bad"));
    return make("p", { class: "standing" }, badges);
  }

  function showTurn(dialogue, turn, number) {
    const refusals = dialogue.turns.slice(0, number).filter((before) => before.answer !== null).length;
    const refusal = turn.answer === null ? null : dialogue.refusal[refusals] || null;
    const count = dialogue.turns.length + dialogue.unsent.length;
    const which = count > 1 ? `, turn ${number + 1} of ${count}` : "";
    const said = [showSaid(`User${which}`, turn.user, "user")];
    if (turn.error) said.push(showSaid(`Error: ${turn.error.type}`, turn.error.message, "failure"));
    else said.push(showAnswer(dialogue, turn, number, refusal));
    said.push(showCall(turn));
    return said;
  }

  const showSaid = (title, text, kind) =>
    make("section", { class: `said ${kind}` }, make("h3", {}, title), showLong(text));

  function showLong(text, mark = (piece) => [piece]) {
    const box = make("p", { class: "text", dir: "auto" }, mark(text.slice(0, LONG)));
    if (text.length > LONG) {
      const showAll = () => box.replaceChildren(...mark(text));
      box.append("… ", make("button", { type: "button", class: "link", onclick: showAll },
        `Show all ${whole(text.length)} characters`));
    }
    return box;
  }

  function showAnswer(dialogue, turn, number, refusal) {
    const marks = findMarks(dialogue, turn, number, refusal);
    const title = make("h3", {}, "Answer ");
    if (refusal && refusal.label !== "none") {
      title.append(badge(`${refusal.label} refusal`, refusal.label === "full" ? "bad" : "warn"));
    }
    if (CUT.includes(turn.stop_reason)) title.append(badge(`cut off: ${turn.stop_reason}`, "warn"));
    const parts = [title, turn.answer.trim() ? showLong(turn.answer, (piece) => markText(piece, marks))
      : make("p", { class: "text" }, make("i", { class: "muted" }, "The answer is empty."))];
    if (refusal) {
      const why = refusal.evidence ? [" for ", make("q", {}, refusal.evidence)] : [];
      parts.push(make("p", { class: "why" },
        `Refusal: ${refusal.label}, score ${refusal.score.toFixed(3)}`, why));
    }
    return make("section", { class: "said answer" }, parts);
  }

  // --- what is marked in an answer

  function findMarks(dialogue, turn, number, refusal) {
    const marks = [];
    for (const fact of dialogue.facts) {
      const only = fact.fact && typeof fact.fact === "object" ? fact.fact.turn : undefined;
      if (!fact.matched || (only !== undefined && only !== number)) continue;
      const title = `${fact.found ? "found" : "must not stand here"}: ${sayFact(fact.fact)}`;
      for (const span of findSpans(turn.answer, fact.matched)) {
        marks.push({ ...span, kind: fact.found ? "fact" : "forbidden", title });
      }
    }
    if (refusal && refusal.label !== "none" && refusal.evidence) {
      const from = turn.answer.indexOf(refusal.evidence);
      if (from >= 0) marks.push({ from, to: from + refusal.evidence.length, kind: "evidence", title: "refusal" });
    }
    return marks;
  }

  function findSpans(answer, matched) {
    const parts = answer.includes(matched) ? [matched] : matched.split(" … ");
    return parts.flatMap((part) => {
      const from = findWord(answer, part);
      return from < 0 || !part ? [] : [{ from, to: from + part.length }];
    });
  }

  const isLetter = (character) => character !== undefined && /[\p{L}\p{N}]/u.test(character);

  function findWord(answer, part) {
    for (let from = answer.indexOf(part); from >= 0; from = answer.indexOf(part, from + 1)) {
      if (!isLetter(answer[from - 1]) && !isLetter(answer[from + part.length])) return from;
    }
    return answer.indexOf(part);
  }

  function markText(answer, marks) {
    const inside = marks.filter((mark) => mark.to <= answer.length);
    const ends = new Set([0, answer.length, ...inside.flatMap((mark) => [mark.from, mark.to])]);
    const cuts = [...ends].sort((a, b) => a - b);
    return cuts.slice(1).map((to, at) => {
      const over = inside.filter((mark) => mark.from <= cuts[at] && to <= mark.to);
      const piece = answer.slice(cuts[at], to);
      if (!over.length) return piece;
      const kinds = [...new Set(over.map((mark) => mark.kind))].join(" ");
      return make("mark", { class: kinds, title: over.map((mark) => mark.title).join("\n") }, piece);
    });
  }

  const FORMS = { any_of: "", all_of: "all of: ", none_of: "none of: ", regex: "pattern: " };

  function sayFact(fact) {
    if (typeof fact === "string") return fact;
    if (Array.isArray(fact)) return fact.join(" / ");
    const form = Object.keys(FORMS).find((name) => name in fact);
    const words = [].concat(fact[form]).join(form === "all_of" ? " + " : " / ");
    return FORMS[form] + words + ("turn" in fact ? ` (turn ${fact.turn + 1})` : "");
  }

  function showFacts(dialogue) {
    const list = make("ul", { class: "facts" });
    for (const fact of dialogue.facts) {
      const matched = fact.matched && fact.matched !== sayFact(fact.fact)
        ? [make("span", { class: "muted" }, fact.found ? " as " : " but there is "), make("q", {}, fact.matched)] : [];
      const [kind, sign] = fact.found ? ["found", "✓"] : isJudged(dialogue) ? ["missing", "✗"] : ["muted", "·"];
      list.append(make("li", { class: kind },
        make("span", { class: "sign", "aria-label": kind === "muted" ? "not judged" : kind }, sign),
        make("span", {}, sayFact(fact.fact), matched)));
    }
    for (const fact of dialogue.expected) {
      list.append(make("li", { class: "muted" }, make("span", { class: "sign" }, "·"), make("span", {}, sayFact(fact))));
    }
    const nothing = make("p", { class: "muted" }, "No fact is expected of this dialogue.");
    return make("section", { class: "said" }, make("h3", {}, "Facts"), list.childElementCount ? list : nothing);
  }

  // --- the call behind an answer, and the rest

  function define(pairs) {
    const list = make("dl", { class: "pairs" });
    for (const [name, value] of pairs) {
      if (value !== null && value !== undefined && value !== "") {
        list.append(make("dt", {}, name), make("dd", {}, value instanceof Node ? value : String(value)));
      }
    }
    return list;
  }

  const isFull = (object) => object && Object.keys(object).length > 0;
  const showJson = (object) => make("pre", {}, JSON.stringify(object, null, 2));
  const flat = (object) => Object.entries(object)
    .map(([name, value]) => `${name} ${typeof value === "number" ? whole(value) : JSON.stringify(value)}`).join(", ");

  function showCall(turn) {
    const { input_tokens: input, output_tokens: output } = turn.usage || {};
    const brief = [turn.model, turn.latency_s === null ? null : seconds(turn.latency_s),
      typeof output === "number" ? `${whole(input || 0)} tokens in, ${whole(output)} out` : null,
      turn.attempts.length > 1 ? plural(turn.attempts.length, "attempt") : null];
    const attempts = make("ol", { class: "attempts" }, turn.attempts.map((attempt) => make("li", {},
      [attempt.status === null ? "no status" : `status ${attempt.status}`,
        attempt.error ? `: ${attempt.error}` : "",
        attempt.waited_s ? `, waited ${seconds(attempt.waited_s)} before` : "",
        attempt.lost ? ", an answer may have been lost" : ""].join(""))));
    return make("details", { class: "call" },
      make("summary", {}, brief.filter(Boolean).join(" · ")),
      define([
        ["model", turn.model],
        ["temperature", turn.temperature === null ? "the model's default" : turn.temperature],
        ["max_tokens", turn.max_tokens],
        ["stop reason", turn.stop_reason],
        ["usage", isFull(turn.usage) ? flat(turn.usage) : "not given"],
        ["latency", turn.latency_s === null ? null : `${turn.latency_s.toFixed(6)} s`],
        ["sent", turn.sent_at ? moment(1000 * turn.sent_at) : null],
        ["request id", turn.request_id],
        ["attempts", attempts],
        ["prompt hash", turn.prompt_hash],
        ["log line", `responses.jsonl:${turn.line}`],
        ["metadata", isFull(turn.metadata) ? showJson(turn.metadata) : null],
      ]));
  }

  function showMore(dialogue) {
    const safe = rerun !== null && /^[\p{L}\p{N}_-]+$/u.test(dialogue.id);
    return make("section", { class: "said" }, make("h3", {}, "This dialogue"), define([
      ["stands in", make("code", {}, dialogue.place)],
      ["run it again", safe ? make("code", {}, `pytest "${rerun}${dialogue.id}"`) : null],
      ...Object.entries(dialogue.own).map(([name, value]) => [name, fixed(value)]),
      ...Object.entries(dialogue.extra).map(([name, value]) =>
        [name, typeof value === "string" ? value : JSON.stringify(value)]),
    ]));
  }

  function watchPanel() {
    panel.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") step(-1);
      if (event.key === "ArrowRight") step(1);
    });
    panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
    panel.addEventListener("close", () => {
      history.replaceState(null, "", "#");
      if (shownOrder().includes(opened)) reveal(opened);
    });
    window.addEventListener("hashchange", openFromHash);
  }

  // --- where it comes from

  function showOrigin() {
    const from = summary.provenance;
    const code = (value) => (value === null || value === undefined ? null : make("code", {}, String(value)));
    const experiment = run.experiment;
    find("origin").append(
      make("h3", {}, "Do it again"),
      make("dl", { class: "commands" }, commands.map(({ does, line }) =>
        [make("dt", {}, does), make("dd", {}, make("code", {}, line))])),
      make("h3", {}, "Provenance"),
      define([
        ["run folder", code(folder)],
        ["manifest", code(from.manifest)],
        ["SHA-256", code(from.manifest_sha256)],
        ["dataset", code(from.dataset)],
        ["SHA-256", code(from.dataset_sha256)],
        ["model", experiment.model],
        ["temperature", experiment.temperature === null ? "the model's default" : experiment.temperature],
        ["max_tokens", experiment.max_tokens],
        ["client", run.base_url ? `${run.client} at ${run.base_url}` : run.client],
        ["repeats", experiment.repeats],
        ["facts, refusals", `${experiment.fact_mode}, ${experiment.detector}`],
        ["definitions", code(from.definitions_version)],
        ["started", moment(run.started_at)],
        ["prices", summary.cost.prices_as_of],
        ["Python", `${from.python}, ${from.platform}`],
        ["packages", Object.entries(from.packages || {}).map(([name, version]) => `${name} ${version}`).join(", ")],
      ]),
      make("p", { class: "note" }, "This file asks nobody for anything. Its table is Tabulator (MIT licence)."));
  }

  showHead();
  showMetrics();
  showComparison();
  showGates();
  showErrors();
  showOrigin();
  showChips();
  prepareNothing();
  tellCount(rows.length);
  showTable();
  watchSearch();
  watchPanel();
})();
