"""The HTML of a report: one template and one style sheet, without any outside resource.

Pictures are drawn for white paper and stand on a light card whatever the page's colours are.
"""

STYLE = (
    """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --page: #ffffff;
  --card: #f6f8fa; --line: #d0d7de; --accent: #0072B2; --warn: #b34700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa7b4; --page: #0f1419;
  --card: #1a2129; --line: #39424d; --accent: #56B4E9; --warn: #f0a04b; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0; color: var(--ink); background: var(--page);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main, header, nav, footer { max-width: 1140px; margin: 0 auto; padding: 0 16px; }
header { padding-top: 24px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 44px 0 8px; padding-top: 12px; border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 24px 0 6px; }
p, ul, ol, dl { margin: 8px 0 12px; }
p, li, dd { max-width: 76ch; overflow-wrap: break-word; }
.soft { color: var(--soft); font-size: .92rem; }
.answer { background: var(--card); border-left: 5px solid var(--accent); border-radius: 6px;
  padding: 10px 18px; margin-top: 16px; font-size: 1.05rem; }
.answer li { margin-bottom: 10px; }
.answer li, .care li { max-width: none; }
.care { border-left: 5px solid var(--warn); background: var(--card); border-radius: 6px;
  padding: 8px 18px; margin: 14px 0; }
nav { font-size: .9rem; padding-top: 10px; }
nav a { display: inline-block; margin: 0 12px 4px 0; }
a { color: var(--accent); }
.panels { display: grid; gap: 14px; margin: 12px 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); }
.panels.square { grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); }
.panels.wide { grid-template-columns: minmax(0, 1fr); }
.panel { background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: 6px;
  overflow-x: auto; min-width: 0; }
.panel svg { display: block; width: 100%; height: auto; }
.wide .panel svg { min-width: 620px; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; margin: 10px 0; }
table { border-collapse: collapse; width: 100%; font-size: .88rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: 5px 9px; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td { white-space: nowrap; }
td.text { white-space: normal; }
thead th { background: var(--card); vertical-align: bottom; min-width: 5.5em; }
.text { text-align: left; }
tbody th { font-weight: 600; position: sticky; left: 0; background: var(--page); }
tbody tr:last-child > * { border-bottom: 0; }
details { border: 1px solid var(--line); border-radius: 6px; padding: 6px 14px; margin: 10px 0; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; font-size: .8rem; line-height: 1.4; }
dt { font-weight: 600; margin-top: 8px; }
dd { margin-left: 0; color: var(--soft); }
footer { padding: 28px 16px 40px; color: var(--soft); font-size: .85rem; }
@media (max-width: 500px) { body { font-size: 15px; } .answer, .care { padding: 8px 12px; }
  .answer ol, .care ul { padding-left: 1.2em; } th, td { padding: 4px 7px; }
  tbody th { position: static; } }
.controls { display: flex; flex-wrap: wrap; gap: 8px 18px; margin: 10px 0; font-size: .92rem; }
.controls label { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; }
.controls select { max-width: 100%; font: inherit; }
.controls input[type=range] { width: min(300px, 80vw); accent-color: var(--accent); }
.interactive .panel, .interactive .panel > div { width: 100%; }
tr.chosen > * { background: var(--card); 
  box-shadow: inset 0 2px var(--accent), inset 0 -2px var(--accent); }
tbody th svg { background: #fff; border-radius: 2px; vertical-align: middle; }
table.sortable th button { all: unset; cursor: pointer; font-weight: 600; }
table.sortable th button:focus-visible { outline: 2px solid var(--accent); }
table.sortable th[aria-sort=ascending] button::after { content: " \\25b2"; }
table.sortable th[aria-sort=descending] button::after { content: " \\25bc"; }
"""
    + (
        # Paper is white, has no links and is not scrolled; what a script draws stays on the screen.
        """
@media print { :root { color-scheme: light; --ink: #1b1f24; --soft: #57606a; --page: #ffffff;
  --card: #f6f8fa; --line: #d0d7de; --accent: #0072B2; --warn: #b34700; }
  nav, .interactive { display: none; } body { font-size: 11pt; }
  main, header, footer { max-width: none; } a { color: inherit; }
  .panel, tr, .answer, .care { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; border: 0; } td { white-space: normal; }
  table { font-size: 8pt; } th, td { padding: 2px 5px; } thead th { min-width: 0; }
  tbody th { position: static; }
  .panels, .panels.square { grid-template-columns: 1fr 1fr; }
  .panels.wide { grid-template-columns: minmax(0, 1fr); } .wide .panel svg { min-width: 0; } }
"""
    )
)

TEMPLATE = """
{%- macro grid(table) %}
{%- if table.rows %}
<div class="scroll" tabindex="0"><table>
<thead><tr>{% for heading in table.headings %}
<th scope="col"{% if loop.index0 < table.labels %} class="text"{% endif %}>{{ heading }}</th>
{%- endfor %}</tr></thead>
<tbody>
{%- for row in table.rows %}
<tr>{% for cell in row %}
{%- if loop.first %}<th scope="row" class="text">{{ cell }}</th>
{%- else %}<td{% if loop.index0 < table.labels %} class="text"{% endif %}>{{ cell }}</td>
{%- endif %}{% endfor %}</tr>
{%- endfor %}
</tbody></table></div>
{%- else %}
<p class="soft">Nothing to list.</p>
{%- endif %}
{%- endmacro %}
{%- macro drawing(picture) %}
{%- if picture.drawings %}
<div class="panels {{ picture.shape }}" id="picture-{{ picture.name }}">
{%- for svg in picture.drawings %}
<div class="panel">{{ svg }}</div>
{%- endfor %}
</div>
{%- else %}
<p class="soft">{{ picture.empty }}</p>
{%- endif %}
{%- endmacro %}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ screen.title }} – genomesieve</title>
<style>{{ style }}</style>
</head>
<body>
<header>
<h1>{{ screen.title }}</h1>
<p class="soft">Screen <b>{{ screen.name }}</b> · classes {{ screen.classes | join(", ") }} ·
network {{ screen.network.name }} · genomes
{{ screen.genomes | map(attribute="name") | join(", ") }}</p>
</header>
<nav aria-label="Sections">
{%- for section in sections %}
<a href="#{{ section.key }}">{{ section.title }}</a>
{%- endfor %}
</nav>
<main>
{%- for section in sections %}
<section id="{{ section.key }}">
<h2>{{ section.title }}</h2>
{%- if section.key == "answer" %}
<div class="answer"><ol>
{%- for sentence in answer %}
<li>{{ sentence }}</li>
{%- endfor %}
</ol></div>
{%- if screen.notes %}
<div class="care"><b>Read with care</b><ul>
{%- for note in screen.notes %}
<li>{{ note }}</li>
{%- endfor %}
</ul></div>
{%- endif %}
{%- endif %}
{%- for item in section["items"] %}
{%- if item.kind == "text" %}
<p>{{ item.content }}</p>
{%- elif item.kind == "list" %}
<ul>
{%- for point in item.content %}
<li>{{ point }}</li>
{%- endfor %}
</ul>
{%- elif item.kind == "heading" %}
<h3>{{ item.content }}</h3>
{%- elif item.kind == "picture" %}
{{ drawing(item.content) }}
{%- elif item.kind == "table" %}
{{ grid(item.content) }}
{%- elif item.kind == "fold" %}
<details><summary>{{ item.title }}</summary>
{{ grid(item.content) }}
</details>
{%- elif item.kind == "code" %}
<details><summary>{{ item.title }}</summary>
<pre>{{ item.content }}</pre>
</details>
{%- elif item.kind == "thresholds" %}
<div class="interactive" id="threshold-chart" hidden>
<h3>{{ item.title }}</h3>
<p>{{ item.content.text }}</p>
<div class="controls" id="threshold-controls"></div>
<div class="panel"><div id="threshold-plot"></div></div>
<p class="soft" id="threshold-universe" aria-live="polite"></p>
<div class="scroll" tabindex="0"><table id="threshold-readout">
<thead><tr><th scope="col" class="text">model</th>
{%- for heading in item.content.headings %}
<th scope="col">{{ heading }}</th>
{%- endfor %}</tr></thead>
<tbody></tbody></table></div>
</div>
<noscript><p class="soft">The chart whose threshold moves needs scripts; the table of thresholds and
the pictures below do not.</p></noscript>
{%- elif item.kind == "terms" %}
<dl>
{%- for term, meaning in item.content.items() %}
<dt>{{ term }}</dt><dd>{{ meaning }}</dd>
{%- endfor %}
</dl>
{%- endif %}
{%- endfor %}
</section>
{%- endfor %}
</main>
<footer>Made by genomesieve. Coordinates in files are 0-based and half-open. This page needs no
network connection.</footer>
{%- if chart %}
<script type="application/json" id="threshold-data">{{ chart.data }}</script>
<script>{{ chart.libraries }}</script>
<script>{{ chart.script }}</script>
{%- endif %}
</body>
</html>
"""
