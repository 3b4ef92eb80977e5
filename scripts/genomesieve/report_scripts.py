"""The scripts of a report's page: the readout of a threshold, and tables that can be sorted."""

THRESHOLD_SCRIPT = """
(() => {
  const text = document.getElementById("threshold-data");
  if (!text || typeof vegaEmbed === "undefined") return;
  const {spec, styles, series, points} = JSON.parse(text.textContent);
  const shapes = {
    "circle": "M3,0A3,3,0,1,1,-3,0A3,3,0,1,1,3,0", "square": "M-3,-3H3V3H-3Z",
    "triangle-up": "M0,-3.5L3.5,3H-3.5Z", "triangle-down": "M0,3.5L3.5,-3H-3.5Z",
    "diamond": "M0,-4L3,0L0,4L-3,0Z", "cross": "M-4,-1.5H-1.5V-4H1.5V-1.5H4V1.5H1.5V4H-1.5V1.5H-4Z",
  };
  let last = -1;
  const rows = points.series.map((at, i) => {
    const facts = series[at], right = points.true[i], wrong = points.false[i];
    const first = at !== last;
    last = at;
    return {
      class: facts.class, genome: facts.genome, universe: facts.universe, model: facts.model,
      percent: points.percent[i], score: points.score[i], low: points.low[i],
      high: points.high[i], true: right, false: wrong, called: right + wrong,
      recall: right / facts.sites, precision: right / (right + wrong),
      per_megabase: wrong / facts.megabases, first: first,
      prevalence: facts.sites / (facts.sites + facts.negatives),
    };
  });
  const whole = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
  const tenths = new Intl.NumberFormat("en", {minimumFractionDigits: 1, maximumFractionDigits: 1});
  const length = (megabases) => megabases >= 1
    ? tenths.format(megabases) + " Mb" : tenths.format(1000 * megabases) + " kb";
  const share = (value) => (value === null ? "–" : (100 * value).toFixed(1) + "\\u00a0%");
  const swatch = (look) => {
    const make = (name, values) => {
      const mark = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(values)) mark.setAttribute(key, value);
      return mark;
    };
    const svg = make("svg", {width: 34, height: 12, viewBox: "0 -6 34 12", "aria-hidden": "true"});
    svg.append(
      make("path", {d: "M0,0H34", stroke: look.color, "stroke-width": 2,
                    "stroke-dasharray": look.dash.join(" ")}),
      make("path", {d: shapes[look.shape], fill: look.color, transform: "translate(17,0)"}));
    return svg;
  };
  const cells = (row) => {
    const band = row.low === null ? "" : ` (${share(row.low)} to ${share(row.high)})`;
    return [
      row.score === null ? "–" : row.score.toFixed(2).replace("-", "−"), share(row.recall),
      share(row.precision) + band, whole.format(row.called), whole.format(row.true),
      whole.format(row.false), tenths.format(row.per_megabase),
    ];
  };
  const read = (view) => {
    const chosen = {};
    for (const key of ["class", "genome", "universe", "model"]) {
      chosen[key] = view.signal("chosen_" + key);
    }
    const picked = view.signal("threshold");
    const percent = Number((picked.percent || [NaN])[0]);
    const here = rows.filter((row) => ["class", "genome", "universe"].every(
      (key) => row[key] === chosen[key]));
    const body = document.querySelector("#threshold-readout tbody");
    body.replaceChildren(...here.filter((row) => row.percent === percent).map((row) => {
      const line = document.createElement("tr"), name = document.createElement("th");
      name.scope = "row";
      name.className = "text";
      name.append(swatch(styles[row.model]), " " + row.model);
      line.className = row.model === chosen.model ? "chosen" : "";
      line.append(name, ...cells(row).map((text) => {
        const cell = document.createElement("td");
        cell.textContent = text;
        return cell;
      }));
      return line;
    }));
    const facts = series.find((one) => ["class", "genome", "universe"].every(
      (key) => one[key] === chosen[key]));
    document.getElementById("threshold-universe").textContent = facts
      ? `${whole.format(facts.sites)} positions of ${facts.class} in ${length(facts.megabases)} of `
        + `${facts.genome}, one in ${whole.format((facts.sites + facts.negatives) / facts.sites)}; `
        + `thresholds that find at least ${percent}\\u00a0% of them.`
      : "There is no such curve: nothing of this class is known in this genome and universe.";
  };
  document.getElementById("threshold-chart").hidden = false;
  spec.datasets = {points: rows};
  vegaEmbed("#threshold-plot", spec, {actions: false, renderer: "svg"}).then(({view}) => {
    const names = ["chosen_class", "chosen_genome", "chosen_universe", "chosen_model", "threshold"];
    for (const name of names) view.addSignalListener(name, () => read(view));
    read(view);
  });
})();
"""
"""Draws the chart of a movable threshold and writes what is called into the table below it."""

SORT_SCRIPT = """
for (const heading of document.querySelectorAll("table.sortable thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => {
    const body = heading.closest("table").tBodies[0], at = heading.cellIndex;
    const rising = heading.getAttribute("aria-sort") !== "ascending";
    const value = (row) => {
      const cell = row.cells[at], number = cell.dataset.value;
      return number === undefined ? cell.textContent : number === "" ? NaN : Number(number);
    };
    const order = (one, other) => {
      const a = value(one), b = value(other);
      if (typeof a === "string") return a.localeCompare(b, "en", {numeric: true});
      // What is not known comes last, whichever way the table is sorted.
      if (isNaN(a) || isNaN(b)) return (isNaN(a) - isNaN(b)) * (rising ? 1 : -1);
      return a - b;
    };
    const rows = [...body.rows].sort((a, b) => (rising ? 1 : -1) * order(a, b));
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
    body.append(...rows);
  });
}
"""
"""Lets a click on a heading sort its table; numbers by `data-value`, everything else as text."""
