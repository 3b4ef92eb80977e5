"""Open a page in headless Chromium, as a person would, and ask it what it shows.

The page is a file without a network. A script of the test is put at its end; what it finds comes
back as JSON, with every error and every resource that the page asked for.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSERS = (
    *("chromium", "chromium-browser", "chromium-headless-shell"),
    *("google-chrome", "google-chrome-stable"),
)

# What a page asks for beyond its file is refused by a policy, which tells at once; a request
# itself would be known only when it has failed.
_FIRST = """<meta http-equiv="Content-Security-Policy"
 content="default-src 'unsafe-inline' 'unsafe-eval' data: blob:">
<script>
window.problems = [];
window.refused = [];
addEventListener("securitypolicyviolation", (event) => refused.push(event.blockedURI));
addEventListener("error", (event) => problems.push(String(event.message || event.target.outerHTML)),
                 true);
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
for (const level of ["error", "warn"]) {
  console[level] = (...words) => problems.push(level + ": " + words.map(String).join(" "));
}
</script>"""

_LAST = """<script>
addEventListener("load", async () => {
  const until = async (ready) => {
    for (let tries = 0; !ready(); tries += 1) {
      if (tries > 200) throw new Error("waited in vain for " + ready);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const result = {};
  try {
    result.found = await (async () => { %s })();
  } catch (error) {
    problems.push("test: " + error.stack);
  }
  result.problems = problems;
  result.resources = refused;
  parent.postMessage(JSON.stringify(result), "*");
});
</script>"""

# A window cannot be as narrow as a telephone, a frame can.
_FRAME = """<!DOCTYPE html><html><head><meta charset="utf-8"></head><body style="margin: 0">
<script>
addEventListener("message", (event) => {
  const place = document.createElement("pre");
  place.id = "test-result";
  place.textContent = event.data;
  document.body.append(place);
});
</script>
<iframe src="%s" width="%d" height="900" style="border: 0"></iframe></body></html>"""

# Boxes of text that can be seen: of HTML by text node, of pictures by what matplotlib calls text.
# What a scrolled box hides does not count.
LOOK = """
const seen = (box, node) => {
  let {left, right, top, bottom} = box;
  for (let at = node.parentElement; at; at = at.parentElement) {
    if (getComputedStyle(at).overflowX === "visible") continue;
    const frame = at.getBoundingClientRect();
    left = Math.max(left, frame.left); right = Math.min(right, frame.right);
    top = Math.max(top, frame.top); bottom = Math.min(bottom, frame.bottom);
  }
  return {left, right, top, bottom};
};
const boxes = [];
const add = (rectangle, node, words) => {
  const box = seen(rectangle, node);
  if (box.right - box.left > 1 && box.bottom - box.top > 1) boxes.push({...box, words});
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const holder = node.parentElement;
  if (!node.data.trim() || !holder.checkVisibility()) continue;
  if (holder.closest("script, style, svg")) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  for (const one of range.getClientRects()) add(one, node, node.data.trim().slice(0, 40));
}
for (const group of document.querySelectorAll("svg g[id*=text_], svg text")) {
  if (!group.checkVisibility() || !group.getBBox().width) continue;
  const name = group.textContent.trim() || group.id;
  add(group.getBoundingClientRect(), group, name.slice(0, 40));
}
boxes.sort((a, b) => a.top - b.top);
const overlaps = [];
boxes.forEach((a, i) => {
  for (let j = i + 1; j < boxes.length && boxes[j].top < a.bottom - 2; j += 1) {
    const b = boxes[j];
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 2 && high > 2) overlaps.push([a.words, b.words, Math.round(a.top)]);
  }
});
const pictures = [...document.querySelectorAll(".panel svg")].filter(
  (svg) => svg.checkVisibility());
const look = {
  width: innerWidth, page: document.documentElement.scrollWidth, texts: boxes.length, overlaps,
  marks: pictures.map((svg) => [...svg.querySelectorAll("path, use, rect, line")].filter((mark) => {
    const box = mark.getBoundingClientRect();
    return box.width + box.height > 1;
  }).length),
};
"""
"""Leaves in `look` how wide window and page are, which texts overlap, and how many marks each
picture has."""


def find_browser() -> str:
    """Return the browser's path; skip the test where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed (make browser)")
    return found


def ask_page(page: Path, script: str, width: int = 1280, dark: bool = False) -> dict:
    """Open a page and run a script in it.

    Parameters
    ----------
    page : Path
        A copy with the script is written beside it.
    script : str
        Body of an async function; `until(() => ready)` waits.
    width : int
        Of the frame that the page stands in, CSS pixels.
    dark : bool
        Whether the reader prefers dark pages.

    Returns
    -------
    dict
        found (what the script returned), problems (errors and warnings), resources (what was asked
        for beyond the file).
    """
    browser = find_browser()
    text = page.read_text(encoding="utf-8")
    head, rest = re.split(r"(?<=<head>)", text, maxsplit=1)
    body, end = rest.rsplit("</body>", 1)
    copy = page.with_name(f"asked-{page.name}")
    copy.write_text(f"{head}{_FIRST}{body}{_LAST % script}</body>{end}", encoding="utf-8")
    frame = page.with_name(f"frame-{page.name}")
    frame.write_text(_FRAME % (copy.name, width), encoding="utf-8")
    profile = page.parent / "browser-profile"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"]
    options += [f"--user-data-dir={profile}", "--window-size=1400,1000", "--hide-scrollbars"]
    options += ["--virtual-time-budget=20000", "--disable-background-networking"]
    options += ["--disable-quic", "--disable-component-update", "--disable-sync"]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = subprocess.run(
        [browser, *options, frame.as_uri()], capture_output=True, text=True, timeout=120
    )
    found = re.search(r'<pre id="test-result">(.*?)</pre>', done.stdout, flags=re.S)
    assert found, f"the page never answered: {done.stderr[-2000:]}"
    return json.loads(html.unescape(found[1]))
