"""The report in a real browser: nothing is fetched, cut off, invisible or illegible."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from harness.results.html import report_html
from harness.tests.chromium import Page, browser, find_chromium
from harness.tests.synthetic_results import passing, synthetic

pytestmark = [
    pytest.mark.chromium,
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed"),
]

# Relative luminance of the text and of what lies behind it, as WCAG defines it.
CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return Array.from(canvas.getImageData(0, 0, 1, 1).data);
  };
  const light = (c) => {
    const [r, g, b] = c.map((v) => v / 255).map(
      (v) => v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const c = rgba(getComputedStyle(e).backgroundColor);
      if (c[3] === 255) return c;
    }
    return [255, 255, 255, 255];
  };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    if (element.closest("script, style")) continue;
    const style = getComputedStyle(element);
    const inside = element.closest("svg text");
    const a = light(rgba(inside ? style.fill : style.color).slice(0, 3));
    const b = light(behind(element).slice(0, 3));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    if (ratio < 4.5) bad.push(ratio.toFixed(2) + " " + walk.currentNode.textContent.trim());
  }
  return {bad, seen};
})()
"""
# Every drawing that should be seen, with its size and whether text leaves it.
PICTURES = """
Array.from(document.querySelectorAll("svg")).filter((s) => s.checkVisibility()).map((s) => {
  const box = s.getBoundingClientRect();
  const cut = Array.from(s.querySelectorAll("text")).filter((t) => {
    const b = t.getBoundingClientRect();
    return b.left < 0 || b.right > document.documentElement.clientWidth;
  }).map((t) => t.textContent);
  const small = Array.from(s.querySelectorAll("text")).map(
    (t) => parseFloat(getComputedStyle(t).fontSize) * box.width / s.viewBox.baseVal.width);
  return {
    plot: s.classList.contains("plot"), width: box.width, height: box.height, cut,
    smallest: Math.min(...small),
  };
})
"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    made = {"failing": synthetic(), "passing": passing()}
    for name, results in made.items():
        (folder / f"{name}.html").write_text(report_html(results), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("name", ["failing", "passing"])
@pytest.mark.parametrize("look", [(1280, "light"), (1280, "dark"), (420, "light"), (420, "dark")])
def test_the_page(
    tab: Page, files: dict[str, Path], tmp_path: Path, name: str, look: tuple[int, str]
) -> None:
    width, scheme = look
    tab.requests.clear()
    tab.console.clear()
    tab.look(width, scheme)
    tab.open(files[name])
    assert tab.requests == [files[name].as_uri()]  # itself and nothing else
    assert tab.console == []
    tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert tab.evaluate("document.documentElement.scrollWidth") == width

    pictures = tab.evaluate(PICTURES)
    plots = [p for p in pictures if p["plot"]]
    assert len(plots) == 4
    assert len(pictures) == 4 + 4
    assert all(p["width"] > 100 and p["height"] > 50 for p in pictures)
    assert all(p["cut"] == [] for p in pictures)
    assert min(p["smallest"] for p in plots) > 9.5

    contrast = tab.evaluate(CONTRAST)
    assert contrast["seen"] > 400
    assert contrast["bad"] == []

    with Image.open(tab.picture(tmp_path / "page.png", (0, 0, width, 600))) as image:
        assert image.size == (width, 600)
        red, green, blue = image.convert("RGB").getpixel((2, 2))  # type: ignore[misc]
    average = (red + green + blue) / 3
    assert average > 230 if scheme == "light" else average < 40


def test_each_arm_is_painted_in_its_own_colour(
    tab: Page, files: dict[str, Path], tmp_path: Path
) -> None:
    for scheme in ("light", "dark"):
        tab.look(1280, scheme)
        tab.open(files["failing"])
        box = tab.evaluate(
            "(() => { const b = document.querySelector('svg.plot.wide').getBoundingClientRect();"
            "return [b.left, b.top + scrollY, b.right, b.bottom + scrollY]; })()"
        )
        names = ["--arm-base", "--arm-patched", "--arm-rival-1", "--arm-rival-2", "--target"]
        colors = [
            tab.evaluate(
                f"getComputedStyle(document.documentElement).getPropertyValue('{name}').trim()"
            )
            for name in names
        ]
        assert len(set(colors)) == len(names)
        with Image.open(tab.picture(tmp_path / "page.png", box)) as image:
            found = {color for _, color in image.convert("RGB").getcolors(1 << 20) or []}
        for color in colors:
            assert tuple(bytes.fromhex(color[1:])) in found, color


def test_the_filter(tab: Page, files: dict[str, Path]) -> None:
    tab.look(1280, "light")
    tab.open(files["failing"])
    tab.evaluate("document.getElementById('all-cases').open = true")
    tab.evaluate(
        "(() => { const i = document.querySelector('.filter input'); i.value = 'ptrace flaky';"
        "i.dispatchEvent(new Event('input')); })()"
    )
    shown = tab.evaluate(
        "Array.from(document.querySelectorAll('#all-cases tbody tr'))"
        ".filter((r) => r.checkVisibility()).map((r) => r.cells[0].textContent)"
    )
    assert shown == ["test_cgfreezer_ptrace <&> [retry]"]
    tab.evaluate(
        "(() => { const i = document.querySelector('.filter input'); i.value = '';"
        "i.dispatchEvent(new Event('input')); })()"
    )
    hidden = tab.evaluate("document.querySelectorAll('#all-cases [hidden]').length")
    assert hidden == 0


def test_print_shows_the_folded_figures_on_white(tab: Page, files: dict[str, Path]) -> None:
    tab.look(800, "dark", "print")
    tab.open(files["failing"])
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    ink = tab.evaluate("getComputedStyle(document.body).color")
    assert ink == "rgb(27, 32, 37)"
    heights = tab.evaluate(
        "Array.from(document.querySelectorAll('article details > table'))"
        ".map((t) => t.getBoundingClientRect().height)"
    )
    assert len(heights) == 4
    assert all(height > 50 for height in heights)


def test_the_checks_can_fail(tab: Page, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!doctype html><body style='background:#fff'>"
        "<p style='color:#ccc'>pale</p><div style='width:3000px'>wide</div>"
        "<img src='missing.png'>",
        encoding="utf-8",
    )
    tab.requests.clear()
    tab.look(1280, "light")
    tab.open(bad)
    assert len(tab.requests) == 2
    assert tab.evaluate("document.documentElement.scrollWidth") > 1280
    assert tab.evaluate(CONTRAST)["bad"] == ["1.61 pale"]
