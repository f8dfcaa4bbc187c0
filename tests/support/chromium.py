"""Headless Chromium, driven through its DevTools protocol over pipes."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import suppress

import pytest

PATIENCE = 30.0


class Chromium:
    """A page in a browser of its own; a context manager.

    ``requests`` are the addresses that it asked for, ``errors`` what its console said.
    """

    def __init__(self, folder):
        self.folder = folder
        self.requests, self.errors = [], []
        self._number, self._buffer, self._answers = 0, b"", {}

    def __enter__(self):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            pytest.skip("no chromium on PATH")
        (theirs, self._to), (self._from, answers) = os.pipe(), os.pipe()
        words = [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--remote-debugging-pipe", f"--user-data-dir={self.folder / 'profile'}"),
        ]
        shell = ["bash", "-c", f'exec "$@" 3<&{theirs} 4>&{answers}', "bash", *words]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(shell, pass_fds=(theirs, answers), **quiet)
        os.close(theirs)
        os.close(answers)
        self._session = {}
        target = self("Target.createTarget", url="about:blank")["targetId"]
        attached = self("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        with suppress(OSError, RuntimeError):
            self._session = {}
            self("Browser.close")
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def __call__(self, method, **parameters):
        """What a method of the protocol gives."""
        self._number += 1
        call = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._to, json.dumps(call).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while self._number not in self._answers:
            self._read(until)
        answer = self._answers.pop(self._number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _read(self, until):
        left = until - time.monotonic()
        if left <= 0 or not select.select([self._from], [], [], left)[0]:
            raise RuntimeError(f"no answer of the browser in {PATIENCE:.0f} s")
        part = os.read(self._from, 1 << 20)
        if not part:
            raise RuntimeError("the browser has ended")
        *messages, self._buffer = (self._buffer + part).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._note(message["method"], message["params"])

    def _note(self, event, told):
        if event == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.errors.append(details.get("exception", details).get("description", details))
        elif event == "Runtime.consoleAPICalled":
            self.errors.append([each.get("value") for each in told["args"]])
        elif event == "Log.entryAdded":
            self.errors.append(told["entry"]["text"])

    def open(self, address, width=1440, height=1000):
        """Load a page in a window of this size, and wait until it says that it is ready."""
        mobile = width < 500
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self("Emulation.setDeviceMetricsOverride", **size)
        self("Page.navigate", url=address)
        self.until("window.timings?.ready")

    def js(self, expression):
        """The value of an expression in the page, awaited."""
        options = {"awaitPromise": True, "returnByValue": True}
        found = self("Runtime.evaluate", expression=expression, **options)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}, {self.errors}")
        return found["result"].get("value")

    def until(self, expression):
        """Wait until an expression is true; its value."""
        until = time.monotonic() + PATIENCE
        while not (value := self.js(expression)):
            if time.monotonic() > until:
                raise RuntimeError(f"{expression} stays {value!r}; {self.errors}")
            time.sleep(0.05)
        return value

    def key(self, name):
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def click(self, x, y):
        """Press the mouse at a place of the window."""
        for kind, buttons in (("mousePressed", 1), ("mouseReleased", 0)):
            given = {"x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1}
            self("Input.dispatchMouseEvent", type=kind, **given)

    def choose(self, selector, path):
        """Give a file to an input of files."""
        root = self("DOM.getDocument")["root"]["nodeId"]
        node = self("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def screenshot(self, path, *, whole=False):
        """Write a PNG of the window, or of the ``whole`` page."""
        found = self("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))
