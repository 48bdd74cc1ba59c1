"""The explorer in a browser: it loads, zooms, plays, shows a PE, code, routes, two runs, a deadlock, without an error.

The program in wse/report/explorer.js is built from the folder wse/report/explorer.
"""

import hashlib
import re

import numpy as np
import pytest
from documents import PACKAGES, ROOT
from explored import browser_path, product, stuck
from synthetic import make_run

from wse import report
from wse.report import page as pages

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[test]'")


def test_the_program_is_built_from_its_sources():
    folder = ROOT / "wse" / "report" / "explorer"
    names = ["build.mjs", "package.json", *(f"src/{path.name}" for path in (folder / "src").iterdir())]
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0".encode() + (folder / name).read_bytes() + b"\0")
    for built in ("explorer.js", "explorer.css"):
        first = (PACKAGES / "wse/report" / built).read_text().split("\n", 1)[0]
        assert digest.hexdigest() in first, "build it again: cd wse/report/explorer && npm ci && npm run build"


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=browser_path())
        except sync_api.Error as error:
            pytest.skip(f"needs Chromium: apt-get install chromium-headless-shell ({str(error).splitlines()[0]})")
        yield browser
        browser.close()


@pytest.fixture
def show(chromium, tmp_path):
    """Opens the explorer of runs; in the end, nothing may stand in the console."""
    said: list[str] = []
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, offline=True)

    def opened(*runs):
        path = report.explore(runs, tmp_path / "run.html")
        page = context.new_page()
        page.set_default_timeout(120_000)  # on a busy host, too
        page.add_init_script(COPY)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready=yes]")
        return page

    yield opened
    context.close()
    assert said == []


COLOR_AT = """([x, y]) => {
    const pen = copy(), ratio = devicePixelRatio;
    return [...pen.getImageData(x * ratio, y * ratio, 1, 1).data].slice(0, 3);
}"""
DRAWN = "() => document.querySelector('canvas.map').toDataURL()"
COPY = """window.copy = () => {
    const map = document.querySelector('canvas.map'), made = document.createElement('canvas');
    [made.width, made.height] = [map.width, map.height];
    const pen = made.getContext('2d', { willReadFrequently: true });
    pen.drawImage(map, 0, 0);
    return pen;
}"""


def middle(page, x, y):
    """The middle of a PE of the map, in pixels of its canvas."""
    box = page.locator("canvas.map").first.bounding_box()
    frame(page)
    wide, high = zoom_of(page)
    left, top = map(float, page.locator(".maps").get_attribute("data-corner").split(","))
    return box, (x + 0.5 - left) * wide, (y + 0.5 - top) * high


def zoom_of(page):
    """Pixels per PE, to the east and to the south."""
    return tuple(map(float, page.locator(".maps").get_attribute("data-zoom").split(",")))


def click(page, x, y):
    box, px, py = middle(page, x, y)
    page.mouse.click(box["x"] + px, box["y"] + py)
    page.wait_for_selector(f'body[data-pe="({x}, {y})"]')


def frame(page):
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def near(color, other, by=12):
    return max(abs(a - b) for a, b in zip(color, other, strict=True)) <= by


def test_the_map_has_the_colors_of_the_numbers(show):
    run = make_run(8, 8)
    for name in ("busy_scalar", "busy_micro"):
        run.counters[name][:] = 0
    run.counters["busy_vector"][:] = 0
    run.counters["busy_vector"][5, 2] = run.cycles
    page = show(run)
    frame(page)
    for (x, y), color in (((2, 5), (253, 231, 37)), ((3, 5), (68, 1, 84)), ((2, 4), (68, 1, 84))):  # ends of viridis
        _, px, py = middle(page, x, y)
        assert near(page.evaluate(COLOR_AT, [px, py + 8]), color)
    assert "mean 1.6 %, maximum 100.0 % at (2, 5)" in page.inner_text("#legend-says")


def test_it_zooms_and_moves_and_fits(show):
    page = show(product())
    frame(page)
    start = zoom_of(page)[0]
    page.click("#in")
    assert zoom_of(page)[0] == pytest.approx(1.5 * start, rel=0.01)
    page.keyboard.press("-")
    assert zoom_of(page)[0] == pytest.approx(start, rel=0.01)
    box, px, py = middle(page, 0, 0)
    page.mouse.move(box["x"] + px, box["y"] + py)
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"() => parseFloat(document.querySelector('.maps').dataset.zoom) > {1.5 * start}")
    _, qx, qy = middle(page, 0, 0)
    assert (qx, qy) == pytest.approx((px, py), abs=2)  # zoomed about the pointer
    corner = page.locator(".maps").get_attribute("data-corner")
    page.mouse.down()
    page.mouse.move(box["x"] + px + 60, box["y"] + py + 40, steps=4)
    page.mouse.up()
    assert page.locator(".maps").get_attribute("data-corner") != corner
    page.keyboard.press("0")
    assert zoom_of(page)[0] == pytest.approx(start, rel=0.01)


def test_a_single_busy_row_of_a_wafer_is_seen(show):
    run = make_run(750, 1170, cycles=100, bins=0)
    for name in ("busy_scalar", "busy_micro", "busy_vector"):
        run.counters[name][:] = 0
    run.counters["busy_vector"][700] = 100
    page = show(run)
    frame(page)
    count = """() => {
        const pen = copy(), map = pen.canvas, data = pen.getImageData(0, 0, map.width, map.height).data;
        let found = 0;
        for (let i = 0; i < data.length; i += 4) found += data[i] > 240 && data[i + 1] > 215 && data[i + 2] < 60;
        return found / map.width;
    }"""
    zoom = zoom_of(page)[0]
    assert zoom < 1 and "a pixel shows the maximum of" in page.inner_text("#pixel-note")
    assert page.evaluate(count) > 0.9 * 750 * zoom / page.locator("canvas.map").bounding_box()["width"]
    page.select_option("#aggregate", "mean")
    page.wait_for_function("() => document.querySelector('#pixel-note').textContent.includes('mean')")
    frame(page)
    assert page.evaluate(count) == 0


def test_a_pe_its_timeline_and_keys(show):
    page = show(product())
    click(page, 2, 1)
    panel = page.inner_text("#pe")
    assert "PE (2, 1)" in panel and "class tile, 16 PEs" in panel and "busy: vector" in panel
    assert f"{int(product().counters['flops'][1, 2]):,}" in panel
    page.wait_for_selector("#timeline")
    box = page.locator("#timeline").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    assert re.search(r"cycle [\d,]+: ", page.inner_text(".lanes output"))
    page.keyboard.press("ArrowRight")
    page.wait_for_selector('body[data-pe="(3, 1)"]')
    page.keyboard.press("Escape")
    page.wait_for_selector('body[data-pe=""]')


def test_links_of_a_color(show):
    page, run = show(product()), product()
    click(page, 2, 1)
    page.wait_for_selector("#links-by-color")
    rows = page.locator("#links-by-color tbody tr").all_inner_texts()
    counts = run.detail.links[0][:, 1, 2].tolist()
    assert rows[0].split("\t") == ["a (color 0)", *(f"{count:,}" if count else "" for count in counts)]
    page.select_option("#measure", "link1")
    page.select_option("#color", "0")
    page.wait_for_function("() => document.querySelector('#legend-says').textContent.includes('to the east of a')")
    (most,) = re.findall(r"maximum ([\d.]+)", page.inner_text("#legend-says"))
    assert float(most) == pytest.approx(int(run.detail.links[0][1].max()) / run.cycles, rel=0.01)


def test_the_state_of_a_pe_at_a_cycle(show):
    page, run = show(product()), product()
    states, memory = run.detail.states, run.detail.classes[0].memory
    click(page, 1, 1)
    page.wait_for_selector("#state-registers")
    assert page.inner_text("#state-cycle") == f"cycle {run.cycles:,}"
    digits = re.findall(r"r\d+ ([0-9a-f]{8})", page.inner_text("#state-registers"))
    assert [int(word, 16) for word in digits] == states.registers[-1, 5].tolist()
    (_, address, size, kind, _) = next(row for row in memory if row[0] == "C")
    assert kind == "f16"
    values = states.memory_at(len(states.cycles) - 1)[5].view(np.uint8)[address : address + size].view(np.float16)
    (shown,) = (row for row in page.locator("#state-variables tr").all_inner_texts() if row.startswith("C\t"))
    numbers = shown.split("\t")[1].partition(" and ")[0].split()
    np.testing.assert_allclose(np.array(numbers, np.float32), values[:32], rtol=2e-3)
    for at in range(len(states.cycles) - 2, 0, -1):  # back to a state with a wavelet in a queue
        if any(row[4] for row in states.queues[at][5]):
            break
    page.locator("#state-at").fill(str(at))
    page.wait_for_function(
        f"() => document.querySelector('#state-cycle').textContent === 'cycle {states.cycles[at]:,}'"
    )
    words = [word for row in states.queues[at][5] for word in row[4]]
    assert f"{words[0] % 2**32:08x}" in page.inner_text("#state-queues")
    page.click("#state-next")
    page.wait_for_function(
        f"() => document.querySelector('#state-cycle').textContent === 'cycle {states.cycles[at + 1]:,}'"
    )
    used = sum(row[2] for row in memory)
    assert f"Memory: {used:,} of 49,152 bytes in use" in page.inner_text("#memory-map summary")
    page.select_option("#measure", "sram_used")
    page.wait_for_function(f"() => document.querySelector('#legend-says').textContent.includes('maximum {used:,}')")


def test_activity_of_parts_of_rows(show):
    run = make_run(64, 2, activity=True)
    exact = run.activity[1].mean() / run.bin_cycles
    run.activity = run.activity.reshape(64, 2, 8, 8).sum(axis=3)
    page = show(run)
    assert page.inner_text(".time output") == f"whole run: cycles 0 to {run.cycles - 1:,}"
    page.locator("#slider").fill("1")
    page.wait_for_function("() => document.body.textContent.includes('a mean of 8 PEs of a row')")
    (mean,) = re.findall(r"mean ([\d.]+) %", page.inner_text("#legend-says"))
    assert float(mean) == pytest.approx(100 * exact, abs=0.1)


def test_time_is_slid_played_and_brushed(show):
    page = show(product())
    page.locator("#slider").fill("3")
    page.wait_for_selector('body[data-range="3-3"]')
    assert re.match(r"cycles [\d,]+ to [\d,]+", page.inner_text(".time output"))
    page.keyboard.press("Escape")
    page.wait_for_selector('body[data-range=""]')
    page.click("#play")
    page.wait_for_function("() => parseInt(document.body.dataset.range) >= 2")
    page.keyboard.press("Escape")
    assert page.locator("body").get_attribute("data-range") == "" and page.inner_text("#play") == "▶"
    page.locator("#slider").fill("5")
    page.click("h1")  # the keys of the slider are its own
    page.keyboard.press(".")
    page.wait_for_selector('body[data-range="6-6"]')
    page.click("#whole-run")
    over = page.locator(".u-over").bounding_box()
    page.mouse.move(over["x"] + 0.3 * over["width"], over["y"] + 40)
    page.mouse.down()
    page.mouse.move(over["x"] + 0.6 * over["width"], over["y"] + 40, steps=5)
    page.mouse.up()
    first, last = map(int, page.locator("body").get_attribute("data-range").split("-"))
    bins = -(-product().cycles // product().bin_cycles)
    assert abs(first - 0.3 * bins) <= 1.5 and abs(last - 0.6 * bins) <= 1.5
    page.click("#whole-run")
    page.wait_for_selector('body[data-range=""]')


def test_every_measure(show):
    page = show(product())
    seen = set()
    for _ in range(page.locator("#measure option").count()):
        page.keyboard.press("m")
        frame(page)
        seen.add(page.locator("body").get_attribute("data-measure"))
    assert {"utilization", "flops", "link1", "stall_start"} <= seen
    assert len(seen) == page.locator("#measure option").count()


def test_code_with_cycles(show):
    page = show(product())
    page.click("[data-tab=code]")
    page.wait_for_selector("#code")
    rows = page.locator("#code .instruction")
    assert rows.count() == len(product().detail.classes[0].code)
    cells = page.locator("#code .n").all_inner_texts()
    shown = sum(int(words.replace(",", "")) for words in cells[0:] if words)
    profile = product().detail.classes[0].profile
    assert shown == pytest.approx(float(profile[:-1, 1:].sum()) / 16, rel=0.02)


def test_routes_from_a_sender_to_its_receivers(show):
    page = show(product())
    page.select_option("#color", "0")
    page.wait_for_function("() => document.querySelector('#route-says').textContent.includes('16 senders')")
    click(page, 1, 2)
    page.wait_for_function("() => document.querySelector('#pe')?.textContent.includes('its wavelets reach 3 PEs')")


def test_light_and_dark(show):
    page = show(product())
    paper = "() => getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    page.keyboard.press("d")
    assert page.evaluate(paper) == "rgb(20, 24, 29)"
    page.keyboard.press("?")
    assert "next measure" in page.inner_text("#help")


def test_two_runs(show):
    page = show(product(), product(slow=True))
    page.wait_for_selector("#by-cause")
    change = product(slow=True).cycles - product().cycles
    assert f"B takes +{change:,} cycles" in page.inner_text("#compare")
    assert page.inner_text("#by-cause tbody tr:first-child td:first-child") == "stall: branch"
    assert page.inner_text("#by-line tbody tr:first-child").count("branch +") == 1
    for shown, maps in (("A", 1), ("B", 1), ("both", 2), ("diff", 1)):
        page.click(f"[data-shown={shown}]")
        page.wait_for_selector(f"body[data-shown={shown}]")
        assert page.locator("canvas.map").count() == maps
    assert page.inner_text("#legend-says").startswith("B − A, ")
    page.click("[data-shown=both]")
    page.wait_for_function("() => /: A: mean .*; B: mean /.test(document.querySelector('#legend-says').textContent)")
    assert page.inner_text(".time b") == "A over time"


def test_each_of_two_runs_has_its_own_time(show):
    runs = [make_run(4, 4, cycles=cycles, activity=True) for cycles in (1000, 100_000)]
    page = show(*runs)
    for shown, run in zip("AB", runs, strict=True):
        page.click(f"[data-shown={shown}]")
        page.wait_for_selector(f"body[data-shown={shown}]")
        assert page.inner_text(".time b") == f"{shown} over time"
        bins = -(-run.cycles // run.bin_cycles)
        assert page.locator("#slider").get_attribute("max") == str(bins - 1)
        page.locator("#slider").fill("2")
        first = 2 * run.bin_cycles
        assert page.inner_text(".time output") == f"cycles {first:,} to {first + run.bin_cycles - 1:,}"
        busy = run.activity[2].mean() / run.bin_cycles
        words = f"mean {100 * busy:.1f} %"
        page.wait_for_function(f"() => document.querySelector('#legend-says').textContent.includes('{words}')")


def test_two_runs_of_different_grids(show):
    page = show(make_run(4, 4), make_run(7, 3))
    assert page.locator("[data-shown=diff]").count() == 0
    page.click("[data-shown=B]")
    page.wait_for_selector("body[data-shown=B]")
    click(page, 6, 2)


def test_the_critical_path(show):
    page = show(product())
    before = page.evaluate(DRAWN)
    page.click("[data-tab=path]")
    page.wait_for_selector("#path")
    assert "on 2 PEs, which the map shows" in page.inner_text("#path")
    assert page.locator("#path table").first.inner_text().splitlines()[1].startswith("code of step")
    page.wait_for_function(f"() => ({DRAWN})() !== {before!r}")  # the path is on the map
    page.locator("#path button").first.click()
    page.wait_for_selector('body[data-pe="(1, 0)"][data-tab=path]')


def test_a_run_without_a_trace_has_no_path(show):
    assert show(make_run()).locator("[data-tab=path]").count() == 0


def test_a_deadlock(show):
    page = show(stuck())
    page.wait_for_selector("#deadlock")
    assert page.locator("#deadlock ol li").count() == 2
    page.locator("#deadlock ol button").first.click()
    page.wait_for_selector('body[data-pe="(0, 0)"]')
    assert "The run ended: deadlock." in (page.click("[data-tab=run]") or page.inner_text("#panel"))


@pytest.mark.parametrize("grid", [(1, 1), (512, 1), (1, 300), (40, 3)])
def test_other_shapes(show, grid):
    page = show(make_run(*grid, activity=True))
    click(page, grid[0] - 1, grid[1] - 1)


def test_a_run_with_little_recorded(show):
    page = show(make_run(3, 3, cycles=0, bins=0))
    assert "This run has no time series." in page.inner_text(".time")
    click(page, 1, 1)
    assert "this run was not traced" in page.inner_text("#pe")


def test_rounded_planes_say_so(show, monkeypatch):
    monkeypatch.setattr(pages, "BUDGET", 1000)
    page = show(make_run(30, 30))
    page.select_option("#measure", "flops")
    page.wait_for_function("() => document.querySelector('#legend-says').textContent.includes('rounded to steps of')")
