// The transcript browser and labeller. What a model wrote goes into the page as text (textContent),
// never as markup. The kernel finds and lays out; this file shows and sends what the user does.

const BEHAVIOURS = { c: "complied", r: "refused", u: "undecided", x: "artifact" };
const REASONING = { f: "full", p: "partial", n: "none", u: "undecided" };

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function segments(parts) {
  return parts.map(({ text, mark }) =>
    mark
      ? make("mark", { title: mark, className: mark === "differs" ? "differs" : "quote" }, text)
      : document.createTextNode(text),
  );
}

function passage(title, parts) {
  return make(
    "section",
    {},
    make("h4", {}, title),
    parts.length ? make("pre", { dir: "auto" }, ...segments(parts)) : make("p", { className: "faint" }, "(empty)"),
  );
}

function facts(known, className = "faint about") {
  const words = Object.entries(known ?? {}).map(([name, value]) => `${name}: ${value}`);
  return words.length ? make("p", { className }, words.join(" · ")) : null;
}

function answer(side) {
  const hidden = side.tier === "hidden";
  return make(
    "article",
    { className: "side", "data-tier": side.tier, "aria-label": hidden ? "answer" : `${side.tier} tier` },
    make("h3", {}, hidden ? "Answer" : `${side.tier} tier: ${side.verdict}`),
    facts(side.questions, "questions"),
    hidden && !side.scratchpad.length ? null : passage(side.thought, side.scratchpad),
    passage("Output", side.output),
    facts(side.about),
  );
}

async function copy(text, status) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  status("copied");
}

function render({ model, el }) {
  const labelling = model.get("mode") === "label";
  const root = make("div", {
    className: `af-browser ${labelling ? "labelling" : ""}`,
    tabIndex: 0,
    role: "application",
    "aria-label": labelling ? "Transcript labeller" : "Transcript browser",
    "data-lm-suppress-shortcuts": "true",
  });
  const live = make("p", { className: "status", role: "status", "aria-live": "polite" });
  const status = (text) => (live.textContent = text);
  const reading = make("div", { className: "reading", tabIndex: 0, role: "region", "aria-label": "Transcript" });
  el.append(root);

  const view = () => model.get("view");
  function look(changes) {
    model.set("view", { ...view(), ...changes });
    model.save_changes();
  }

  function showTranscript() {
    const transcript = model.get("transcript");
    reading.replaceChildren();
    if (!transcript.rollout) {
      const words = labelling ? "Everything is labelled." : (transcript.problem ?? "Nothing to show.");
      reading.append(make("p", { className: "faint" }, words));
      return;
    }
    reading.append(
      facts(transcript.about) ?? "",
      make("h3", {}, "Request"),
      make("pre", { dir: "auto" }, transcript.request),
      make("div", { className: "sides" }, ...transcript.sides.map(answer)),
    );
    reading.dataset.rollout = transcript.rollout;
    reading.scrollTop = 0;
  }

  if (labelling) labeller();
  else browser();
  model.on("change:transcript", showTranscript);
  showTranscript();

  function browser() {
    const list = make("ul", { role: "listbox", tabIndex: 0, "aria-label": "Rollouts" });
    const count = make("span", { className: "faint" });
    const search = make("input", {
      type: "search",
      placeholder: "text",
      "aria-label": "Text to find",
      value: view().text,
      onchange: () => look({ text: search.value, start: 0, rollout: "" }),
    });
    const choices = Object.entries(model.get("facets")).map(([name, values]) => {
      const select = make(
        "select",
        {
          "aria-label": name,
          onchange: () => look({ filters: { ...view().filters, [name]: select.value }, start: 0, rollout: "" }),
        },
        make("option", { value: "" }, `any ${name}`),
        ...values.map((value) => make("option", { value }, `${name}: ${value}`)),
      );
      select.value = view().filters[name] ?? "";
      return select;
    });
    const page = (step) => {
      const { total, size } = model.get("page");
      const start = Math.min(Math.max(view().start + step * size, 0), Math.max(total - 1, 0));
      look({ start: start - (start % size), rollout: "" });
    };
    const toMarkdown = () => copy(model.get("transcript").markdown ?? "", status);
    const toLink = () => {
      const address = new URL(location.href);
      address.searchParams.delete("token"); // a key to the server is not for others
      const shown = { ...view(), rollout: model.get("transcript").rollout ?? "" };
      address.hash = `af-view=${encodeURIComponent(JSON.stringify(shown))}`;
      copy(address.href, status);
    };

    const several = ["setting", "model", "variation"].filter((name) => name in model.get("facets"));

    function showList() {
      const { total, rows, size } = model.get("page");
      const first = total ? view().start + 1 : 0;
      count.textContent = `${first}–${view().start + rows.length} of ${total.toLocaleString("en")}`;
      const chosen = model.get("transcript").rollout;
      list.replaceChildren(
        ...rows.map((row) =>
          make(
            "li",
            {
              role: "option",
              id: `af-${row.rollout}`,
              "aria-selected": String(row.rollout === chosen),
              onclick: () => look({ rollout: row.rollout }),
            },
            make("span", { className: "tier" }, row.tier),
            make("span", {}, row.verdict),
            make("span", { className: "faint" }, [...several.map((name) => row[name]), row.prompt_id, row.sample].join(" · ")),
            make("span", { className: "request", dir: "auto" }, row.request),
          ),
        ),
      );
      root.dataset.total = total;
      root.dataset.shown = performance.now();
    }
    function showChosen() {
      const chosen = model.get("transcript").rollout;
      for (const item of list.children) {
        const selected = item.id === `af-${chosen}`;
        item.setAttribute("aria-selected", String(selected));
        if (selected) {
          list.setAttribute("aria-activedescendant", item.id);
          item.scrollIntoView({ block: "nearest" });
        }
      }
    }
    function step(by) {
      const { rows, total } = model.get("page");
      const place = rows.findIndex((row) => row.rollout === model.get("transcript").rollout) + by;
      if (place >= 0 && place < rows.length) look({ rollout: rows[place].rollout });
      else if ((by > 0 && view().start + rows.length < total) || (by < 0 && view().start > 0)) page(by);
    }

    root.addEventListener("keydown", (event) => {
      if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) {
        if (event.key === "Escape") root.focus();
        event.stopPropagation();
        return;
      }
      const keys = {
        ArrowDown: () => step(1), j: () => step(1), ArrowUp: () => step(-1), k: () => step(-1),
        PageDown: () => page(1), PageUp: () => page(-1),
        "/": () => search.focus(), m: toMarkdown, l: toLink,
      };
      if (keys[event.key]) {
        keys[event.key]();
        event.preventDefault();
        event.stopPropagation();
      }
    });
    root.append(
      make("div", { className: "bar" }, ...choices, search, count,
        make("button", { onclick: () => page(-1), "aria-label": "Earlier rollouts" }, "‹"),
        make("button", { onclick: () => page(1), "aria-label": "Later rollouts" }, "›"),
        make("button", { onclick: toMarkdown }, "copy as Markdown"),
        make("button", { onclick: toLink }, "copy link"), live),
      make("div", { className: "panes" }, list, reading),
      make("p", { className: "faint help" }, "↑ ↓ next, / search, m copy as Markdown, l copy link"),
    );
    model.on("change:page", showList);
    model.on("change:transcript", showChosen);
    // JupyterLab drops the fragment before a cell has run; the browser remembers what was opened
    const opened = performance.getEntriesByType("navigation")[0]?.name;
    const fragment = location.hash || (URL.canParse(opened) ? new URL(opened).hash : "");
    const linked = new URLSearchParams(fragment.slice(1)).get("af-view");
    const { filters, text, rollout } = view(); // what a cell says goes first
    if (linked && !rollout && !text && !Object.keys(filters).length) {
      try {
        const wanted = JSON.parse(linked);
        if (Object.keys(wanted.filters).some((name) => !(name in model.get("facets")))) throw new Error();
        look(wanted);
      } catch {
        status("this link's view cannot be read");
      }
    }
    showList();
    showChosen();
  }

  function labeller() {
    let chosen = {};
    const progress = make("p", { className: "done", role: "status", "aria-live": "polite" });
    const bar = make("progress", { max: 1, value: 0, "aria-label": "Labelled" });
    const note = make("input", { type: "text", placeholder: "note (o)", "aria-label": "Note" });
    const buttons = {};
    function group(title, field, keys) {
      return make("fieldset", {}, make("legend", {}, title),
        ...Object.entries(keys).map(([key, value]) => {
          buttons[`${field} ${value}`] = make(
            "button",
            { "aria-pressed": "false", onclick: () => choose(field, value) },
            `${value} (${key})`,
          );
          return buttons[`${field} ${value}`];
        }));
    }
    const fieldsets = {
      behaviour: group("1. Behaviour", "behaviour", BEHAVIOURS),
      af: group("2. AF reasoning", "af", REASONING),
    };
    function choose(field, value) {
      chosen[field] = value;
      for (const [name, button] of Object.entries(buttons)) {
        const [group, option] = name.split(" ");
        button.setAttribute("aria-pressed", String(chosen[group] === option));
      }
    }
    // the behaviour is decided before the scratchpad opens, and stays
    const field = () => (model.get("progress").opened ? "af" : "behaviour");
    function save() {
      if (field() === "behaviour" && !chosen.behaviour) return status("choose a behaviour first");
      const rollout = model.get("transcript").rollout;
      model.send({ do: "label", rollout, [field()]: chosen[field()] ?? "", note: note.value });
      status("saved");
    }
    const undo = () => model.send({ do: "undo" });
    function showLabel() {
      chosen = {};
      const label = model.get("label");
      choose("behaviour", label.behaviour);
      choose("af", label.af);
      note.value = label.note ?? "";
    }
    function showProgress() {
      const { done, total, labeller, agreement } = model.get("progress");
      progress.textContent = `${labeller}: ${done} of ${total} labelled${agreement ? ` · ${agreement}` : ""}`;
      bar.max = total || 1;
      bar.value = done;
      if (root.contains(document.activeElement?.closest("fieldset"))) root.focus();
      for (const [name, fieldset] of Object.entries(fieldsets)) fieldset.disabled = name !== field();
      root.dataset.done = done;
      root.dataset.asks = field();
    }
    root.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      event.stopPropagation();
      if (event.target === note) {
        if (event.key === "Enter" || event.key === "Escape") root.focus();
        return;
      }
      const keys = field() === "af" ? REASONING : BEHAVIOURS;
      if (keys[event.key]) choose(field(), keys[event.key]);
      else if (event.key === "Enter" && event.target.tagName !== "BUTTON") save();
      else if (event.key === "z") undo();
      else if (event.key === "o") note.focus();
      else return;
      event.preventDefault();
    });
    root.append(
      make("div", { className: "bar" }, bar, progress, live),
      make("div", { className: "bar" }, fieldsets.behaviour, fieldsets.af, note,
        make("button", { onclick: save }, "save, go on (Enter)"), make("button", { onclick: undo }, "back (z)")),
      reading,
    );
    model.on("change:label", showLabel);
    model.on("change:progress", showProgress);
    model.on("change:transcript", showLabel);
    showLabel();
    showProgress();
  }
}

export default { render };
