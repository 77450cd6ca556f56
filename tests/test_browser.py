"""The search for the browser of tests."""

import pytest

from tests import browser


def test_a_missing_browser_skips_a_test_except_where_ci_is_set(monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", lambda command: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser is installed"):
        browser.find_browser()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no browser is installed"):
        browser.find_browser()


def test_any_name_of_the_browser_is_enough(monkeypatch):
    paths = {"google-chrome": "/usr/bin/google-chrome"}
    monkeypatch.setattr(browser.shutil, "which", paths.get)
    assert browser.find_browser() == paths["google-chrome"]
