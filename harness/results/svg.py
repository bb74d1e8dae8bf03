"""Turn matplotlib's SVG into a picture that lives inside a page.

Colours become CSS variables, so that one picture serves dark and light; text
stays text in the page's font; ids get a prefix, so that two pictures on one
page do not share clip paths; nothing refers to the outside.
"""

from __future__ import annotations

import html
import re

from harness.results.text import one_line

# Colours that matplotlib is told to draw with; each stands for a CSS variable.
# They differ from anything it would choose by itself.
INK = "#010101"
MUTED = "#020202"
GRID = "#030303"
SURFACE = "#040404"
BASE = "#050505"
PATCHED = "#060606"
TARGET = "#070707"
RIVALS = ("#080808", "#090909", "#0a0a0a", "#0b0b0b", "#0c0c0c")

VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    SURFACE: "--surface",
    BASE: "--arm-base",
    PATCHED: "--arm-patched",
    TARGET: "--target",
    **{color: f"--arm-rival-{index}" for index, color in enumerate(RIVALS, 1)},
}


def inline_svg(source: str, prefix: str, label: str, classes: str = "") -> str:
    """Return matplotlib's SVG document as an element for a page.

    prefix: unique on the page, [a-z0-9-]+; label: what a screen reader says.
    """
    body = source[source.index("<svg") :]
    # Its style sheet would apply to the whole page; report.css has the rules.
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\n?", "", body, flags=re.DOTALL)
    body = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', body)
    body = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", body)
    for color, variable in VARIABLES.items():
        body = body.replace(color, f"var({variable})")
    # The page's own font; matplotlib's was only there to measure with.
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", body)
    head = re.search(r"<svg[^>]*>", body)
    assert head is not None
    box = re.search(r'viewBox="([^"]+)"', head.group())
    assert box is not None
    start = (
        f'<svg class="{html.escape(f"plot {classes}".strip())}" viewBox="{box.group(1)}" '
        f'role="img" aria-label="{html.escape(one_line(label))}" version="1.1">'
    )
    body = start + body[head.end() :]
    return re.sub(r"\n\s*", "\n", body).strip()
