"""The page of `lodestone report` and of `lodestone serve` in headless Chromium, as a person uses it.

    python3 tests/browser.py LODESTONE SOURCE PAGE PHOTO OUT [SERVE ARGUMENTS..]

SOURCE is what `serve` is given, PAGE a page that `report` wrote, PHOTO a photograph to look up, OUT a folder for screenshots.
Prints what was seen as JSON. Chromium is driven over a pipe by its own protocol, so that nothing but Python is needed.
"""

import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

NAMES = ["chromium", "chromium-browser", "google-chrome"]


class Browser:
    """Chromium, and one page in it."""

    def __init__(self):
        program = next(path for path in map(shutil.which, NAMES) if path)
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        # The browser reads commands from descriptor 3 and answers on 4.
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()

        def arrange():
            first, second = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
             "--window-size=1280,1600", "--hide-scrollbars", "--user-data-dir=" + self.profile.name, "about:blank"],
            preexec_fn=arrange, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.buffer, self.count, self.session, self.events = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Network", "Log", "DOM"]:
            self.call(domain + ".enable")

    def call(self, method, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        number = self.count
        while True:
            while b"\0" not in self.buffer:
                read = os.read(self.into, 1 << 20)
                if not read:
                    raise SystemExit("the browser went away")
                self.buffer += read
            one, self.buffer = self.buffer.split(b"\0", 1)
            answer = json.loads(one)
            if answer.get("id") == number:
                if "error" in answer:
                    raise SystemExit(method + ": " + json.dumps(answer["error"]))
                return answer["result"]
            self.events.append(answer)

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise SystemExit(script + ": " + json.dumps(result["exceptionDetails"]))
        return result["result"].get("value")

    def open(self, address):
        self.events.clear()
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def wait(self, condition, seconds=60):
        end = time.time() + seconds
        while not self.run("!!(" + condition + ")"):
            if time.time() > end:
                raise SystemExit("waited in vain for " + condition)
            time.sleep(0.05)

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x, y):
        for kind in ["mousePressed", "mouseReleased"]:
            self.mouse(kind, x, y, button="left", clickCount=1)

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def problems(self):
        """What the page complained of, and what it asked for beside itself."""
        complaints, asked = [], []
        for event in self.events:
            parameters = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                complaints.append(parameters["exceptionDetails"]["text"])
            if event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
                # Every browser asks a server for its icon.
                if "favicon" not in parameters["entry"].get("url", ""):
                    complaints.append(parameters["entry"]["text"])
            if event.get("method") == "Network.requestWillBeSent":
                asked.append(parameters["request"]["url"].split(":")[0])
        return complaints, sorted(set(asked))

    def close(self):
        self.process.kill()
        self.process.wait()
        self.profile.cleanup()


def look_at_map(browser, out):
    """Hovers, clicks, zooms, colours and filters; returns what was seen."""
    browser.wait("document.querySelectorAll('#legend button').length > 0")
    seen = {
        "title": browser.run("document.title"),
        "legend": browser.run("document.querySelectorAll('#legend button').length"),
        "sections": browser.run("[...document.querySelectorAll('section')].map(s => s.id)"),
        "strips": browser.run("document.querySelectorAll('#best .strip').length"),
        "modes": browser.run("document.querySelectorAll('#clusters .strip').length"),
        "measures": browser.run("document.querySelectorAll('#numbers table tr').length"),
        "counts": browser.run("document.getElementById('counts').textContent"),
    }
    browser.run("document.getElementById('canvas-box').scrollIntoView()")
    box = browser.run("(r => [r.left, r.top, r.width, r.height])(document.getElementById('map').getBoundingClientRect())")
    # Goes over the map line by line until a point is under the mouse.
    found = None
    for step in range(4000):
        x = box[0] + 12 + (step * 17) % (box[2] - 24)
        y = box[1] + 12 + (step * 17 // (box[2] - 24)) * 14 % (box[3] - 24)
        browser.mouse("mouseMoved", x, y)
        if not browser.run("document.getElementById('tip').hidden"):
            found = (x, y)
            break
    seen["tip"] = browser.run("document.getElementById('tip').textContent")
    seen["tip_picture"] = browser.run("getComputedStyle(document.querySelector('#tip .picture')).backgroundImage.slice(0, 9)")
    browser.picture(os.path.join(out, "map.png"))
    if found:
        browser.click(*found)
        seen["kept"] = browser.run("document.querySelectorAll('#kept .strip').length")
        browser.mouse("mouseWheel", *found, deltaX=0, deltaY=-900)
    browser.run("(s => { s.value = 'error'; s.dispatchEvent(new Event('input')); })(document.getElementById('colour'))")
    seen["by_error"] = browser.run("document.querySelectorAll('#legend button').length")
    browser.run("(s => { s.value = 'no such name'; s.dispatchEvent(new Event('input')); })(document.getElementById('find'))")
    seen["found_nothing"] = browser.run("document.getElementById('counts').textContent")
    browser.run("(s => { s.value = ''; s.dispatchEvent(new Event('input')); })(document.getElementById('find'))")
    browser.picture(os.path.join(out, "zoomed.png"))
    browser.run("document.querySelector('#worst-section, #best-section').scrollIntoView()")
    browser.picture(os.path.join(out, "strips.png"))
    return seen


def status(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body=body, headers=headers or {})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def main():
    program, source, page, photo, out, *more = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    browser = Browser()
    server = None
    try:
        browser.open("file://" + os.path.abspath(page))
        seen = {"report": look_at_map(browser, out)}
        seen["report"]["problems"], seen["report"]["asked"] = browser.problems()

        server = subprocess.Popen([program, "-q", "serve", source, "--port", "0", "--largest", "2MB", *more],
                                  stdout=subprocess.PIPE, text=True)
        address = server.stdout.readline().strip()
        port = int(address.rstrip("/").rsplit(":", 1)[1])
        browser.open(address)
        served = {"address": address.rsplit(":", 1)[0]}
        root = browser.call("DOM.getDocument")["root"]["nodeId"]
        field = browser.call("DOM.querySelector", nodeId=root, selector="#files")["nodeId"]
        browser.call("DOM.setFileInputFiles", nodeId=field, files=[os.path.abspath(photo)])
        browser.wait("document.querySelectorAll('#answers figure').length > 0")
        served["answer"] = browser.run("document.querySelector('#answers .words').textContent")
        served["figures"] = browser.run("document.querySelectorAll('#answers figure').length")
        browser.picture(os.path.join(out, "served.png"))
        # The same by dropping.
        browser.run("""(async () => {
            const data = new DataTransfer();
            data.items.add(new File([document.getElementById('files').files[0]], 'dropped.png'));
            document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
        })()""")
        browser.wait("document.querySelectorAll('#answers .words').length > 1")
        served["problems"], _ = browser.problems()
        outside = {"Host": "evil.example"}
        served["statuses"] = {
            "etc": status(port, "GET", "/../../etc/passwd"),
            "encoded": status(port, "GET", "/%2e%2e/%2e%2e/etc/passwd"),
            "put": status(port, "PUT", "/"),
            "text": status(port, "POST", "/search", b"no photograph"),
            "large": status(port, "POST", "/search", b"\0" * 2_100_000),
            "host": status(port, "GET", "/", headers=outside),
            "origin": status(port, "POST", "/search", b"x", {"Origin": "http://evil.example"}),
            "page": status(port, "GET", "/"),
        }
        # A photograph that is announced and does not come keeps nobody else waiting.
        with socket.create_connection(("127.0.0.1", port), timeout=20) as stalled:
            stalled.sendall(b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n\0")
            time.sleep(0.5)
            served["statuses"]["beside_a_stalled_one"] = status(port, "GET", "/")
        seen["served"] = served
    finally:
        browser.close()
        if server:
            server.kill()
            server.wait()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
