"""The Debug Adapter Protocol, as an editor speaks it with `wse debug --dap`."""

import json
import os
import queue
import re
import subprocess
import sys
import threading

import pytest
from documents import PACKAGES

WAIT = 100.0  # seconds for anything, on a machine that is busy


class Client:
    """A process of the adapter, and its messages by kind."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "wse.cli", "debug", "--dap"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(PACKAGES)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.count, self.events, self.responses = 0, queue.Queue(), queue.Queue()
        self.output = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        given = self.process.stdout
        while header := given.readline():
            length = int(header.removeprefix(b"Content-Length: "))
            assert given.readline() == b"\r\n"
            message = json.loads(given.read(length))
            if message["type"] == "response":
                self.responses.put(message)
            elif message["event"] == "output":
                self.output += message["body"]["output"]
            else:
                self.events.put(message)

    def ask(self, command, success=True, **arguments):
        """The body of the response."""
        self.count += 1
        text = json.dumps({"seq": self.count, "type": "request", "command": command, "arguments": arguments}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
        self.process.stdin.flush()
        response = self.responses.get(timeout=WAIT)
        assert (response["request_seq"], response["command"], response["success"]) == (self.count, command, success), (
            response
        )
        return response["body"] if success else response["message"]

    def event(self, name):
        message = self.events.get(timeout=WAIT)
        assert message["event"] == name, message
        return message["body"]

    def top(self, thread):
        return self.ask("stackTrace", threadId=thread)["stackFrames"][0]

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(WAIT) == 0, self.process.stderr.read()
        self.reader.join(WAIT)
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def client(heat):
    made = Client(heat)
    assert made.ask("initialize", adapterID="wse")["supportsStepBack"]
    made.ask("launch", program="out", script="run.py", args=["--steps", "6"])
    made.event("initialized")
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    for stream in (made.process.stdin, made.process.stdout, made.process.stderr):
        stream.close()


def source(heat):
    return {"path": str(heat / "pe.csl")}


def test_a_session(heat, client):
    found = client.ask("setBreakpoints", source=source(heat), breakpoints=[{"line": 74}, {"line": 400}])["breakpoints"]
    assert (found[0]["verified"], found[0]["line"], found[1]["verified"]) == (True, 75, False)
    client.ask("configurationDone")
    stop = client.event("stopped")
    thread = stop["threadId"]
    assert stop["reason"] == "breakpoint" and stop["hitBreakpointIds"] == [found[0]["id"]]
    frame = client.top(thread)
    assert (
        frame["line"] == 75 and frame["source"]["path"] == str((heat / "pe.csl").resolve()) and "relax" in frame["name"]
    )
    assert any(t["id"] == thread for t in client.ask("threads")["threads"])

    scopes = client.ask("scopes", frameId=frame["id"])["scopes"]
    assert [s["name"] for s in scopes][:2] == ["Variables", "Registers"]
    rows = {
        r["name"]: r for r in client.ask("variables", variablesReference=scopes[0]["variablesReference"])["variables"]
    }
    assert rows["steps"]["type"] == "u16" and rows["steps"]["value"] == "6" and rows["u"]["indexedVariables"] == 12
    part = client.ask("variables", variablesReference=rows["u"]["variablesReference"], start=2, count=3)["variables"]
    assert [r["name"] for r in part] == ["u[2]", "u[3]", "u[4]"]
    assert client.ask("evaluate", expression="steps + 1", frameId=frame["id"])["result"] == "7"
    assert "color" in client.ask("evaluate", expression="info queues", context="repl")["result"]
    for command in ("rectangle deselect 0,0 --dimension=6,1", "rectangle select 2,0", "memory read --name=steps"):
        said = client.ask("evaluate", expression=command, context="repl")["result"]
    assert re.fullmatch(r"\(2,0\) @ 0x[0-9a-f]{4}: 0006", said)  # chosen by commands before
    assert "no variable" in client.ask("evaluate", success=False, expression="v")
    assert (
        len(
            client.ask("disassemble", memoryReference=frame["instructionPointerReference"], instructionCount=4)[
                "instructions"
            ]
        )
        == 4
    )

    client.ask("next", threadId=thread)
    assert client.event("stopped")["reason"] == "step" and client.top(thread)["line"] == 76
    client.ask("stepBack", threadId=thread)
    assert client.event("stopped")["reason"] == "step" and client.top(thread)["line"] == 75
    client.ask("stepIn", threadId=thread, granularity="instruction")
    client.event("stopped")

    scopes = client.ask("scopes", frameId=frame["id"])["scopes"]
    watched = client.ask("dataBreakpointInfo", variablesReference=scopes[0]["variablesReference"], name="u[3]")
    (point,) = client.ask("setDataBreakpoints", breakpoints=[{"dataId": watched["dataId"]}])["breakpoints"]
    client.ask("setBreakpoints", source=source(heat), breakpoints=[])
    client.ask("continue", threadId=thread)
    stop = client.event("stopped")
    assert stop["hitBreakpointIds"] == [point["id"]] and "old: " in stop["text"] and client.top(thread)["line"] == 78
    assert client.ask(
        "setVariable", variablesReference=scopes[0]["variablesReference"], name="here", value="7", success=False
    )
    scopes = client.ask("scopes", frameId=frame["id"])["scopes"]
    assert (
        client.ask("setVariable", variablesReference=scopes[0]["variablesReference"], name="u[5]", value="1.5")["value"]
        == "1.5"
    )
    client.ask("reverseContinue", threadId=thread)
    client.event("stopped")
    client.ask("setDataBreakpoints", breakpoints=[])
    client.ask("continue", threadId=thread)
    assert client.event("exited")["exitCode"] == 1  # a value was set
    client.event("terminated")
    client.end()


def test_the_host_programs_output_and_status(client):
    client.ask("configurationDone")
    assert client.event("exited")["exitCode"] == 0
    client.event("terminated")
    client.end()
    assert "SUCCESS!" in client.output


def test_errors_are_answers(heat, client):
    assert "the request nothing is not supported" in client.ask("nothing", success=False)
    assert "already launched" in client.ask("launch", success=False, program="out", script="run.py")
    assert "not loaded" in client.ask("evaluate", success=False, expression="u")
    assert "KeyError" in client.ask("setBreakpoints", success=False)
    (other,) = client.ask("setBreakpoints", source={"path": "/nowhere.csl"}, breakpoints=[{"line": 3}])["breakpoints"]
    assert not other["verified"]
    (function,) = client.ask("setFunctionBreakpoints", breakpoints=[{"name": "relx"}])["breakpoints"]
    assert not function["verified"] and "relax" in function["message"]
    conditions = [{"name": "relax", "condition": "heer"}, {"name": "relax", "condition": "here"}]
    found = client.ask("setFunctionBreakpoints", breakpoints=conditions)["breakpoints"]
    assert [one["verified"] for one in found] == [False, True] and "no variable 'heer'" in found[0]["message"]
    assert "AttributeError" in client.ask("evaluate", success=False, expression=3)
    client.ask("disconnect")
    client.end()


def test_messages_that_are_no_requests_do_not_end_the_session(client):
    for text in (b"[" * 1_000_000, b"{", b"3", b'{"type": "request", "arguments": [1]}', b"\xff"):
        client.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
    assert client.ask("threads")["threads"]
    assert client.output.count("it is ignored\n") == 5
    client.process.stdin.write(b"Content-Length: 99999999999999999999\r\n\r\n")  # the next one cannot be found
    client.end()


def test_a_launch_that_fails(heat):
    client = Client(heat)
    client.ask("initialize")
    assert "send a launch request first" in client.ask(
        "setFunctionBreakpoints", success=False, breakpoints=[{"name": "relax"}]
    )
    assert "'script'" in client.ask("launch", success=False, program="out")
    assert "holds no compiled program" in client.ask("launch", success=False, program="none", script="run.py")
    assert "no host program" in client.ask("launch", success=False, program="out", script="none.py")
    client.end()  # the editor goes away
