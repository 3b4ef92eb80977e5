"""The page of a view: a table of places and igv.js, filled in by igv-reports.

igv-reports puts the table and one session a place where it finds "@TABLE_JSON@" and
"@SESSION_DICTIONARY@", line by line; everything else is ours, igv.js itself among it, so that the
page works from one file.
"""

from __future__ import annotations

import jinja2
from markupsafe import Markup

VIEW_STYLE = """
.igv { background: #fff; color: #1b1f24; color-scheme: light; border: 1px solid var(--line);
  border-radius: 6px; padding: 6px; margin: 12px 0; overflow-x: auto; min-height: 320px; }
#igv { min-width: 620px; }
.places { max-height: 20em; overflow: auto; }
.places thead th { position: sticky; top: 0; z-index: 1; }
.places tbody tr { cursor: pointer; }
.places tbody button { all: unset; cursor: pointer; text-decoration: underline; }
.places tbody button:focus-visible { outline: 2px solid var(--accent); }
@media print { .igv { display: none; } .places { max-height: none; } }
"""

VIEW_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }} – genomesieve</title>
<style>{{ style }}</style>
</head>
<body>
<header><h1>{{ title }}</h1>
{%- for sentence in notes %}
<p class="soft">{{ sentence }}</p>
{%- endfor %}
</header>
<main>
<div class="scroll places" tabindex="0"><table class="sortable" id="places">
<thead><tr></tr></thead><tbody></tbody></table></div>
<noscript><p>This page draws with scripts, all of which it holds itself.</p></noscript>
<div class="igv"><div id="igv"></div></div>
</main>
<footer>Made by genomesieve with igv-reports and igv.js. Positions are 1-based and inclusive, as
igv.js shows them. This page needs no network connection.</footer>
<script>{{ igv }}</script>
<script>
const table = "@TABLE_JSON@"
const sessions = "@SESSION_DICTIONARY@"
{{ script }}
</script>
</body>
</html>
"""

VIEW_SCRIPT = """
// Cells were escaped by igv-reports, headings too.
const places = document.getElementById("places");
const plain = (escaped) => {
  const box = document.createElement("textarea");
  box.innerHTML = escaped;
  return box.value;
};
for (const name of table.headers.slice(1)) {
  const heading = document.createElement("th");
  heading.scope = "col";
  heading.textContent = plain(name);
  if (places.tHead.rows[0].cells.length < 3) heading.className = "text";
  places.tHead.rows[0].append(heading);
}
for (const [id, ...cells] of table.rows) {
  const row = places.tBodies[0].insertRow();
  row.dataset.id = id;
  cells.forEach((text, at) => {
    const cell = row.insertCell();
    if (at < 3) cell.className = "text";
    if (at === 0) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = plain(text);
      cell.append(button);
    } else {
      cell.textContent = plain(text);
    }
    if (table.headers[at + 1] !== "strand" && at > 2) cell.dataset.value = text;
  });
}
const rows = [...places.tBodies[0].rows];
// Sessions are loaded one after the other: the place that was asked for last is shown at the end.
let shown = igv.createBrowser(document.getElementById("igv"), {
  sessionURL: sessions[rows[0].dataset.id], loadDefaultGenomes: false, search: false,
  showChromosomeWidget: false, showCenterGuide: true, showSVGButton: false,
});
const choose = (row) => {
  for (const other of rows) other.classList.toggle("chosen", other === row);
  shown = shown.then(async (browser) => {
    await browser.loadSession({url: sessions[row.dataset.id]});
    places.dataset.shown = row.dataset.id;
    return browser;
  });
};
rows[0].classList.add("chosen");
shown.then(() => { places.dataset.shown = rows[0].dataset.id; });
places.tBodies[0].addEventListener("click", (event) => choose(event.target.closest("tr")));
"""


def view_page(title: str, notes: list[str], style: str, igv: str, scripts: list[str]) -> str:
    """Return the template that igv-reports fills.

    Parameters
    ----------
    title : str
    notes : list of str
        Sentences above the table.
    style : str
        CSS.
    igv : str
        The text of igv.min.js, which defines `igv`.
    scripts : list of str
        Run after the table and the sessions are there.

    Returns
    -------
    str
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(VIEW_TEMPLATE).render(
        title=title,
        notes=notes,
        style=Markup(style),
        igv=Markup(_inside_script(igv)),
        script=Markup("\n".join(scripts)),
    )


def _inside_script(text: str) -> str:
    """Return a script that cannot end the element it stands in, nor be taken for a template."""
    return text.replace("</script", "<\\/script")
