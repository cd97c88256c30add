"""The report in a headless Chromium."""

from collections.abc import Iterator
from typing import Any

import pytest
from browsers import assert_readable, looking, opened
from reported import ARABIC, ASKED, ENGLISH
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from lbkd.reporting.report import Report


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with opened(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


class Page:
    """The report, open in a browser."""

    def __init__(self, browser: Any, written: Report) -> None:
        self.browser = browser
        browser.get(written.page.as_uri())

    def part(self, name: str) -> Any:
        return self.browser.find_element(By.ID, name)

    def texts(self, selector: str) -> list[str]:
        return [each.text for each in self.browser.find_elements(By.CSS_SELECTOR, selector)]

    def run(self, script: str, *values: Any) -> Any:
        return self.browser.execute_script(script, *values)

    def choose(self, **choices: str) -> None:
        """Choose by visible text, list by list."""
        for name, text in choices.items():
            Select(self.part(name)).select_by_visible_text(text)

    def open(self, row: int) -> None:
        self.browser.find_elements(By.CSS_SELECTOR, "#rows summary")[row].click()
        passage = f"#rows > li:nth-child({row + 1}) .passage"
        WebDriverWait(self.browser, 20).until(lambda _: self.texts(passage))

    def marked(self, kind: str) -> list[str]:
        """Marked parts of the last opened passage, as [its text before, itself], once one is drawn."""
        WebDriverWait(self.browser, 20).until(lambda _: self.texts(".passage"))
        found: list[str] = self.run(
            "const passage = [...document.querySelectorAll('.passage')].at(-1);"
            "return [...passage.querySelectorAll(arguments[0])].map((mark) => {"
            "const range = document.createRange(); range.selectNodeContents(mark.parentElement);"
            "range.setEndBefore(mark); return [[...range.toString()].length, mark.textContent]; })",
            f"mark.{kind}",
        )
        return found


def test_passage_with_gold_and_predicted_answers(browser: Any, written: Report) -> None:
    page = Page(browser, written)
    assert page.texts(".asked") == ASKED["en"]
    page.choose(other="student")
    page.open(0)
    assert page.run("return document.querySelector('.passage').textContent") == ENGLISH
    assert page.marked("gold") == [[0, "Ann"]]
    assert page.marked("one") == [[0, "Ann"]]
    assert page.marked("two") == [[0, "Ann"], [3, " 🐈🐈"]]
    page.open(3)
    assert page.marked("gold") == [[ENGLISH.index("Bob"), "Bob"]]
    assert page.marked("two") == [[ENGLISH.index("Bob"), "Bob"], [ENGLISH.index("Bob") + 3, " left"]]
    assert page.texts("dl")[-1].splitlines() == [
        "right answer",
        "Bob",
        "baseline",
        "Ann",
        "student",
        "Bob left",
    ]


def test_markup_in_texts_is_text(browser: Any, written: Report) -> None:
    page = Page(browser, written)
    page.open(0)
    assert "evil" not in browser.title
    assert page.run("return document.querySelectorAll('script').length") == 2
    assert page.run("return document.querySelectorAll('.asked b').length") == 0


def test_an_answer_that_stands_twice_is_marked_twice(browser: Any, written: Report) -> None:
    page = Page(browser, written)
    page.choose(run="student")
    page.open(1)
    assert [text for _, text in page.marked("one")] == ["Rome", "Rome"]
    assert [text for _, text in page.marked("gold")] == ["Rome"]
    assert "stands 2 times" in page.texts("dl")[-1]


def test_filters(browser: Any, written: Report) -> None:
    page = Page(browser, written)
    assert page.part("told").text == (
        "baseline on test, en: 4 of 4 answers: 1 right, 2 near, 1 wrong. "
        "Errors: too long 1, too short 1, elsewhere 1."
    )
    page.choose(verdict="near")
    assert page.texts(".asked") == ["Where?", "When?"]
    page.choose(kind="too short")
    assert page.texts(".asked") == ["When?"]
    page.choose(kind="made up")
    assert page.texts(".asked") == []
    assert page.part("told").text == "baseline on test, en: 0 of 4 answers."
    page.choose(kind="all", verdict="all")
    page.part("words").send_keys("LEFT?")
    assert page.texts(".asked") == ["Who left?"]


def test_two_runs_question_by_question(browser: Any, written: Report) -> None:
    page = Page(browser, written)
    page.choose(run="student", other="baseline")
    told = page.part("gap").text
    assert told.startswith(
        "student alone is right on 2 questions, baseline alone on 1. Its F1 is higher by 29.2;"
    )
    page.choose(verdict="right, and the other is not")
    assert page.texts(".asked") == ["Where?", "When?"]
    assert page.texts("#rows li:first-child .given") == [
        "right\nRome\nstudent",
        "near: too long, F1 50 %\nin Rome in\nbaseline",
    ]
    page.choose(verdict="not right, and the other is")
    assert page.texts(".asked") == ["Who saw <b>it</b>?"]
    page.choose(verdict="neither right")
    assert page.texts(".asked") == ["Who left?"]
    page.choose(other="no other run")
    assert len(page.texts(".asked")) == 4
    assert page.part("gap").text == ""


def test_right_to_left_and_pairs_of_languages(browser: Any, written: Report) -> None:
    page = Page(browser, written)
    page.choose(language="ar")
    page.open(1)
    direction = "return getComputedStyle(document.querySelector(arguments[0])).direction"
    assert page.run(direction, ".passage") == page.run(direction, ".asked") == "rtl"
    assert page.marked("gold") == [[ARABIC.index("روما"), "روما"]]
    page.choose(set="test, all pairs of languages", language="passage ar, question en")
    assert page.texts(".asked") == ASKED["en"][:2]
    page.open(0)
    assert page.run(direction, ".asked") == "ltr"
    assert page.run(direction, ".passage") == "rtl"


def test_keyboard_and_screen_reader(browser: Any, written: Report) -> None:
    page = Page(browser, written)
    controls = browser.find_elements(By.CSS_SELECTOR, "select, input, [role=region], nav, section")
    assert all(each.accessible_name for each in controls if each.is_displayed())
    assert page.part("told").get_attribute("aria-live") == "polite"
    page.part("words").click()
    for _ in range(20):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.find_elements(By.CSS_SELECTOR, ".asked"):
            break
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.marked("gold") == [[0, "Ann"]]
    told = page.run("return [...document.querySelectorAll('figcaption')].map((each) => each.textContent)")
    assert any(text.endswith("The highest F1 in en: student 83.3; ar: student 100.0.") for text in told)


def test_many_answers_are_drawn_when_they_are_asked_for(browser: Any, written: Report) -> None:
    page = Page(browser, written)
    page.run(
        "const now = data.views[0]; for (let n = 0; n < 2000; n++) { now.asked.push(0); now.wordings.push(0);"
        "for (const own of Object.values(now.answers)) own.push(own[0]); } update()"
    )
    assert page.part("told").text.startswith("baseline on test, en: 2004 of 2004 answers")
    assert len(page.texts("#rows > li")) == 30
    page.part("more").click()
    assert len(page.texts("#rows > li")) == 60
    assert page.run(
        "return document.activeElement.closest('li') === document.querySelectorAll('#rows > li')[30]"
    )
    page.choose(verdict="near")
    assert not page.part("more").is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_and_a_phones_width(browser: Any, written: Report, scheme: str) -> None:
    with looking(browser, scheme, width=390):
        page = Page(browser, written)
        page.choose(other="student")
        page.open(0)
        assert page.run("return document.documentElement.scrollWidth") == 390
        row = [".right", ".near", ".wrong", ".asked", ".who", "dt", "mark.one", "mark.gold"]
        assert_readable(browser, scheme, ["body", "#told", ".note", "nav a", "small", "svg text", *row])


def test_paper_is_light_and_has_no_controls(browser: Any, written: Report) -> None:
    with looking(browser, "dark", media="print"):
        page = Page(browser, written)
        page.open(0)
        assert_readable(browser, "light", ["body", ".asked", "th", "svg text"])
        assert not page.part("choose").is_displayed()
        assert page.part("told").is_displayed()


def test_nothing_is_loaded_and_nothing_complained_of(browser: Any, written: Report) -> None:
    browser.get_log("browser")
    page = Page(browser, written)
    page.open(0)
    assert page.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.get_log("browser") == []
    assert page.run("return fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == "refused"
    assert "Content Security Policy" in browser.get_log("browser")[0]["message"]
