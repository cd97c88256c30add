"""A headless Chromium, and what its tests look at."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium")
if not DRIVER or not BROWSER:
    pytest.skip("needs Chromium and its driver (`make chromium`)", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver", reason="needs the package selenium")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    "--window-size=1200,900",
)


@contextmanager
def opened(profile: Path) -> Iterator[Any]:
    """A browser with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@contextmanager
def looking(browser: Any, scheme: str, width: int | None = None, media: str = "") -> Iterator[None]:
    """Prefer a colour scheme, and look on a phone of a width, or as on paper (`media` print)."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features, "media": media})
    if width is not None:
        phone = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    yield
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [], "media": ""})


def assert_readable(browser: Any, scheme: str, selectors: list[str]) -> None:
    """The text of elements has a contrast of 4.5 at least, and the ground is of the colour scheme."""
    colours = browser.execute_script(
        "return arguments[0].map((s) => { let at = document.querySelector(s);"
        "const ink = at.closest('svg') ? getComputedStyle(at).fill : getComputedStyle(at).color;"
        "let ground; do ground = getComputedStyle(at).backgroundColor, at = at.parentElement;"
        "while (ground === 'rgba(0, 0, 0, 0)'); return [s, ink, ground]; })",
        selectors,
    )
    for selector, ink, ground in colours:
        light, dark = sorted(map(luminance, (ink, ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (selector, ink, ground)
    assert (luminance(colours[0][2]) > 0.5) == (scheme == "light")


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it, of `rgb(r, g, b)`."""
    parts = [int(part) / 255 for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
