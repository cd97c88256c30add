"""The page at `/`, in a headless Chromium."""

from collections.abc import Iterator
from typing import Any

import pytest
from asking_servers import Served, serving, wait_for
from browsers import assert_readable, looking, opened
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from lbkd.inference import Answerer

ENGLISH = "The cat 🐈🐈 sat on\nthe mat in 1843."
ARABIC = "جلست القطة على الحصيرة عام 1843.\nThe cat sat."


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with opened(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


class Page:
    """The page of a server, open in a browser."""

    def __init__(self, browser: Any, served: Served) -> None:
        self.browser = browser
        browser.get(f"http://127.0.0.1:{served.port}/")

    def part(self, name: str) -> Any:
        return self.browser.find_element(By.ID, name)

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.browser.find_elements(By.CSS_SELECTOR, selector)
        return found

    def run(self, script: str, *values: Any) -> Any:
        return self.browser.execute_script(script, *values)

    def ask(self, passage: str, questions: str) -> None:
        """Ask, and wait for the answers or a problem."""
        self.run("document.getElementById('passage').value = arguments[0]", passage)
        self.run("document.getElementById('questions').value = arguments[0]", questions)
        self.part("questions").send_keys(Keys.ENTER)
        wait_for(lambda: "nswered" in self.part("status").text or self.part("problem").text)

    def marked(self) -> str:
        text: str = self.run("return document.getElementById('marked').textContent")
        return text


def test_an_answer_is_marked_in_the_passage(browser: Any, served: Served, answerer: Answerer) -> None:
    page = Page(browser, served)
    page.ask(ENGLISH, "Who sat?")
    expected = answerer(question="Who sat?", context=ENGLISH, top_k=4)
    assert page.marked() == expected[0]["answer"]
    assert page.run("return document.getElementById('read').textContent") == ENGLISH
    shown = [element.get_attribute("textContent") for element in page.all(".answer .text")]
    assert shown == [answer["answer"] for answer in expected]
    assert page.all(".answer .score")[0].text.endswith("%")
    for button, answer in zip(page.all(".answer"), expected, strict=True):
        button.click()
        assert page.marked() == answer["answer"]
        start = page.run(
            "const range = document.createRange(); range.selectNodeContents(document.getElementById('read'));"
            "range.setEndBefore(document.getElementById('marked')); return [...range.toString()].length"
        )
        assert start == answer["start"]
        assert [each.get_attribute("aria-pressed") for each in page.all(".answer")].count("true") == 1


def test_several_questions_on_one_passage(browser: Any, served: Served) -> None:
    page = Page(browser, served)
    page.ask(ENGLISH, "Who?\n\n  Where?  ")
    assert [heading.text for heading in page.all("#answers h3")] == ["Who?", "Where?"]
    assert page.part("status").text == "2 questions answered."
    page.ask(ENGLISH, "When?")
    wait_for(lambda: len(page.all("#answers h3")) == 3)
    assert page.all("#answers h3")[0].text == "When?"
    page.ask(ENGLISH + "!", "Why?")
    wait_for(lambda: [heading.text for heading in page.all("#answers h3")] == ["Why?"])


def test_right_to_left(browser: Any, served: Served) -> None:
    page = Page(browser, served)
    page.ask(ARABIC, "أين جلست القطة؟")
    direction = "return getComputedStyle(document.querySelector(arguments[0])).direction"
    for selector in ("#passage", "#read", "#answers ul"):
        assert page.run(direction, selector) == "rtl", selector
    page.ask(ENGLISH, "أين؟")
    assert page.run(direction, "#read") == "ltr"
    assert page.run(direction, "#answers h3") == "rtl"


def test_keyboard_and_screen_reader(browser: Any, served: Served) -> None:
    page = Page(browser, served)
    page.part("passage").click()
    page.part("passage").send_keys("Ann sat here.", Keys.TAB, "Who?", Keys.SHIFT, Keys.ENTER)
    page.browser.switch_to.active_element.send_keys(Keys.NULL, "Where?", Keys.ENTER)
    wait_for(lambda: len(page.all("#answers h3")) == 2)
    assert page.browser.switch_to.active_element.get_attribute("id") == "questions"
    page.all("summary")[0].click()
    names = [element.accessible_name for element in page.all("textarea, input:not([hidden] *), button")]
    page.part("questions").click()
    assert all(names)
    assert page.all(".answer")[0].accessible_name.endswith("%")
    assert page.all(".answer")[0].aria_role == "button"
    assert page.part("status").get_attribute("aria-live") == "polite"
    assert page.part("problem").get_attribute("role") == "alert"
    for _ in range(20):
        page.browser.switch_to.active_element.send_keys(Keys.TAB)
        if "answer" in (page.browser.switch_to.active_element.get_attribute("class") or ""):
            break
    page.browser.switch_to.active_element.send_keys(Keys.TAB)
    page.browser.switch_to.active_element.send_keys(Keys.SPACE)
    assert page.all(".answer")[1].get_attribute("aria-pressed") == "true"


def test_problems_are_told(browser: Any, answerer: Answerer) -> None:
    with serving(answerer) as server:
        page = Page(browser, server)
        page.part("questions").send_keys("Who?", Keys.ENTER)
        assert page.part("problem").text == "Paste a passage first."
        assert page.browser.switch_to.active_element.get_attribute("id") == "passage"
        page.ask("a" * 100_001, "Who?")
        assert "the passage has 100001 characters; it may have 100000." in page.part("problem").text
    page.part("questions").send_keys(Keys.ENTER)
    wait_for(lambda: "does not answer" in page.part("problem").text)


def test_a_key_is_asked_for(browser: Any, answerer: Answerer) -> None:
    with serving(answerer, key=b"s3cret") as server:
        page = Page(browser, server)
        assert not page.part("key").is_displayed()
        page.ask(ENGLISH, "Who?")
        assert page.part("problem").text == "This server asks for an API key."
        assert page.browser.switch_to.active_element.get_attribute("id") == "key"
        page.part("key").send_keys("wrong", Keys.ENTER)
        wait_for(lambda: page.part("problem").text == "This API key is not the server's.")
        page.part("key").clear()
        page.part("key").send_keys("s3cret", Keys.ENTER)
        wait_for(lambda: page.all("#answers h3"))


def test_markup_in_texts_is_text(browser: Any, served: Served) -> None:
    page = Page(browser, served)
    evil = "<img src=x onerror=document.title='evil'><script>document.title='evil'</script> Ann sat."
    page.ask(evil, evil)
    assert page.run("return document.getElementById('read').textContent") == evil
    assert page.all("#answers h3")[0].text == evil
    assert "evil" not in browser.title


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_and_a_phones_width(browser: Any, served: Served, scheme: str) -> None:
    with looking(browser, scheme, width=360):
        page = Page(browser, served)
        page.ask(ENGLISH + " " + "x" * 200, "W" * 100 + "?")
        assert page.run("return document.documentElement.scrollWidth") == 360
        parts = ["mark", "#send", ".answer[aria-pressed=true]", "h3", ".score", "#status"]
        assert_readable(browser, scheme, ["body", "#read", *parts])


def test_nothing_leaves_the_machine_and_nothing_is_complained_of(browser: Any, served: Served) -> None:
    browser.get_log("performance"), browser.get_log("browser")
    page = Page(browser, served)
    page.ask(ENGLISH, "Who sat?")
    loaded = page.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    here = f"http://127.0.0.1:{served.port}/"
    assert {address.removeprefix(here) for address in loaded} >= {"page.css", "page.js", "answer", "health"}
    assert all(address.startswith(here) for address in loaded)
    assert browser.get_log("browser") == []
    assert page.run("return fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == "refused"
    assert "Content Security Policy" in browser.get_log("browser")[0]["message"]
