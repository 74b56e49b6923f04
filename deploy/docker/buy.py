#!/usr/bin/env python3
"""Buys a book and a train set through the edge with a real browser, as a customer would.

    deploy/docker/buy.py [URL] [SCREENSHOT.png]

Needs chromium and chromedriver, and nothing else of Python's: WebDriver is HTTP. Ends with 0 and the order's address, or
with the step that did not work.
"""

import base64
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

SHOP = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
PICTURE = sys.argv[2] if len(sys.argv) > 2 else None
PATIENCE_S = 30
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One session of headless Chromium."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        self.profile = tempfile.TemporaryDirectory()
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1280,1000",
                     "--disable-background-networking", f"--user-data-dir={self.profile.name}"]
        options = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}}
        until("the browser starts", lambda: self.ask("GET", "/status")["ready"])
        self.base += "/session/" + self.ask("POST", "/session", options)["sessionId"]

    def ask(self, method: str, path: str, body: dict | None = None) -> object:
        """One WebDriver command."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)["value"]

    def find(self, selector: str) -> str:
        """The element's id."""
        return self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def open(self, path: str) -> None:
        """Goes to a page of the shop."""
        self.ask("POST", "/url", {"url": SHOP + path})

    def click(self, selector: str) -> None:
        """Clicks as soon as it can be clicked."""
        until(f"{selector} can be clicked",
              lambda: self.ask("POST", f"/element/{self.find(selector)}/click", {}) is None)

    def sees(self, text: str) -> None:
        """Waits for a text on the page."""
        until(f"the page shows {text!r}", lambda: text in self.ask("GET", f"/element/{self.find('body')}/text"))

    def path(self) -> str:
        """Where it is."""
        return self.ask("GET", "/url").removeprefix(SHOP)

    def close(self) -> None:
        """Ends the browser."""
        self.ask("DELETE", "")
        self.driver.terminate()
        self.driver.wait()


def until(what: str, holds) -> None:  # noqa: ANN001
    """Waits for a condition; an error of the browser means not yet."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            if holds():
                return
            error: object = "it does not"
        except OSError as problem:
            error = problem
        if time.monotonic() > end:
            sys.exit(f"not within {PATIENCE_S} s: {what} ({error})")
        time.sleep(0.1)


def in_stock(category: str) -> tuple[str, str]:
    """Address and title of a product that a load test has not sold out."""
    with urllib.request.urlopen(f"{SHOP}/api/products?limit=100&category={category}", timeout=PATIENCE_S) as answer:
        items = [item for item in json.load(answer)["items"] if item["available"] > 0]
    if not items:
        sys.exit(f"{category}: all sold out")
    return "/products/" + items[0]["sku"], items[0]["title"]


def main() -> None:
    """Search, look, fill the cart, pay by the card whose reply gets lost, find the order."""
    browser = Browser()
    try:
        book, title = in_stock("Fiction")
        train, train_title = in_stock("Train+sets")
        browser.open("/?category=Fiction")
        browser.click(f"a[href='{book}']")
        browser.sees(title)
        browser.click("form.buy button[type='submit']")
        browser.sees("Cart\n1")
        browser.open(train)
        browser.click("form.buy button[type='submit']")
        browser.sees("Cart\n2")
        browser.open("/cart")
        browser.sees(train_title)
        browser.click("[data-checkout]")
        browser.click("#token option[value='tok_charge_then_timeout']")
        browser.click("[data-pay]")
        until("the browser is at the order", lambda: browser.path().startswith("/orders/"))
        browser.sees(train_title)
        if PICTURE:
            with open(PICTURE, "wb") as file:
                file.write(base64.b64decode(browser.ask("GET", "/screenshot")))
        print(f"bought: {SHOP}{browser.path()}")
    finally:
        browser.close()


main()
