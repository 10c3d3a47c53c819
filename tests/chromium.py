"""Drives headless Chromium over its debugging pipe: open a page, run JavaScript in it, take a screenshot."""

import base64
import json
import os
import shutil
import subprocess
import time


def find():
    """The browser's program, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Chromium:
    """A browser with one page. Use it in a `with`."""

    def __init__(self, profile, width=1280, height=800):
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()

        def at_three_and_four():  # where --remote-debugging-pipe expects them
            os.dup2(os.dup(to_read), 3)
            os.dup2(os.dup(to_write), 4)

        high = (os.dup(to_read), os.dup(to_write))
        self._process = subprocess.Popen(
            [
                find(), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=at_three_and_four,
        )  # fmt: skip
        for descriptor in (to_read, to_write, *high):
            os.close(descriptor)
        self._buffer, self._id, self._session = b"", 0, None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Page.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)
        os.close(self._to)
        os.close(self._from)

    def send(self, method, **parameters):
        self._id += 1
        message = {"id": self._id, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._buffer:
                part = os.read(self._from, 1 << 20)
                assert part, "the browser ended"
                self._buffer += part
            line, self._buffer = self._buffer.split(b"\0", 1)
            answer = json.loads(line)
            if answer.get("id") == self._id:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url):
        self.send("Page.navigate", url=url)

    def size(self, width, height, mobile=False):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def run(self, script):
        """The value of a JavaScript expression; promises are awaited."""
        done = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait(self, script, seconds=20):
        """Waits until an expression is true and returns its value."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)
        return value

    def screenshot(self):
        """PNG bytes of what is in view."""
        return base64.b64decode(self.send("Page.captureScreenshot")["data"])
