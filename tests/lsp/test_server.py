"""The language server as an editor meets it: a process, a real client, the protocol.

Covers: wse/lsp/server.py, wse/cli/lsp.py
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from documents import PACKAGES
from editing import COMMANDS, HELPER, LAYOUT, PE
from lsp_client import Client, uri_of
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from wse.cli import main
from wse.cli.lsp import options_of

OTHER = (
    "\N{GRINNING FACE} \N{LATIN SMALL LETTER U WITH DIAERESIS}"  # two and one units of UTF-16, four and two of UTF-8
)


@pytest.fixture
def folder(tmp_path):
    for name, text in (("pe", PE), ("layout", LAYOUT), ("helper", HELPER)):
        (tmp_path / f"{name}.csl").write_text(text)
    (tmp_path / "commands.sh").write_text(COMMANDS)
    return tmp_path


def session(test, folder, **options):
    """Runs a coroutine with a client and the path of the code, and ends the session; the server must end well."""

    async def run():
        client = Client()
        await client.begin(folder, **options)
        await test(client, folder / "pe.csl")
        assert await client.end() == 0
        assert (await client._server.stderr.read()).decode() == ""

    asyncio.run(run())


def place(text, words):
    """Line and character of a mark in words."""
    offset = text.index(words.replace("§", "")) + words.index("§")
    return text.count("\n", 0, offset), offset - (text.rfind("\n", 0, offset) + 1)


def test_a_session(folder):
    """Open, type a half-written program, hover, complete, definition, references, rename, shutdown."""

    async def test(client, pe):
        client.open(pe)
        assert await client.until(pe, lambda messages: True) == []
        half = PE.replace("  pair.low += n;\n", "  pair.\n")
        client.change(pe, half)
        (found,) = await client.until(pe, lambda messages: messages)
        assert found.severity == lsp.DiagnosticSeverity.Error and found.source == "wse"
        line, _ = place(half, "  pair.§\n")
        found = await client.wait(client.text_document_completion_async(lsp.CompletionParams(**client.at(pe, line, 7))))
        assert [one.label for one in found.items] == ["low", "high"]
        client.change(pe, PE)
        await client.until(pe, lambda messages: not messages)
        at = client.at(pe, *place(PE, "= twi§ce("))
        found = await client.wait(client.text_document_hover_async(lsp.HoverParams(**at)))
        assert "fn twice(value: f32) f32" in found.contents.value and "Twice the value." in found.contents.value
        assert found.range.start == lsp.Position(at["position"].line, at["position"].character - 3)
        (found,) = await client.wait(client.text_document_definition_async(lsp.DefinitionParams(**at)))
        assert (found.uri, found.range.start) == (uri_of(pe), lsp.Position(*place(PE, "fn §twice")))
        context = lsp.ReferenceContext(include_declaration=True)
        found = await client.wait(client.text_document_references_async(lsp.ReferenceParams(**at, context=context)))
        assert len(found) == 2
        found = await client.wait(client.text_document_rename_async(lsp.RenameParams(**at, new_name="double")))
        assert {edit.new_text for edit in found.changes[uri_of(pe)]} == {"double"} and len(found.changes) == 1
        help_at = client.at(pe, *place(PE, "@range(u16, §n)) |index"))
        found = await client.wait(client.text_document_signature_help_async(lsp.SignatureHelpParams(**help_at)))
        assert found.signatures[0].label == "@range(T, start?, stop, step?)" and found.active_parameter == 1

    session(test, folder)


def test_a_name_that_is_refused_is_an_error_of_the_request(folder):
    async def test(client, pe):
        client.open(pe)
        await client.until(pe, lambda messages: True)
        for words, new, why in (("= twi§ce(", "while", "word of the language"), ("@ran§ge", "x", "is a builtin")):
            params = lsp.RenameParams(**client.at(pe, *place(PE, words)), new_name=new)
            with pytest.raises(JsonRpcException, match=why):
                await client.wait(client.text_document_rename_async(params))
        with pytest.raises(JsonRpcException, match="belongs to the library"):
            at = client.at(pe, *place(PE, "math.sq§rt"))
            await client.wait(client.text_document_prepare_rename_async(lsp.PrepareRenameParams(**at)))

    session(test, folder)


def test_definitions_in_other_files(folder):
    async def test(client, pe):
        client.open(pe)
        await client.until(pe, lambda messages: True)
        for words, name in (
            ("helper.sca§led(2)", "helper.csl"),
            ('"hel§per.csl"', "helper.csl"),
            ("math.sq§rt", "math.csl"),
        ):
            at = client.at(pe, *place(PE, words))
            (found,) = await client.wait(client.text_document_definition_async(lsp.DefinitionParams(**at)))
            assert found.uri.endswith(name)
        layout = folder / "layout.csl"
        client.open(layout)
        at = client.at(layout, *place(LAYOUT, '"pe§.csl"'))
        (found,) = await client.wait(client.text_document_definition_async(lsp.DefinitionParams(**at)))
        assert found.uri == uri_of(pe)

    session(test, folder)


@pytest.mark.parametrize(("encoding", "width"), [("utf-16", 4), ("utf-8", 7), ("utf-32", 3)])
def test_positions_in_the_encoding_that_is_agreed(folder, encoding, width):
    text = PE.replace("  pair.low += n;", f'  pair.low += n; /// {OTHER}\n  _ = "{OTHER}"; unknown = 1;')

    async def test(client, pe):
        assert client.initialized_with.capabilities.position_encoding == encoding
        client.open(pe, text)
        found = await client.until(pe, lambda messages: any("unknown" in one for one in messages))
        (found,) = [one for one in found if "unknown" in one.message]
        start = len('  _ = "') + width + len('"; ')
        assert (found.range.start.character, found.range.end.character) == (start, start + len("unknown"))

    session(test, folder, encodings=[encoding])


def test_symbols_tokens_highlights_and_hints(folder):
    async def test(client, pe):
        client.open(pe)
        await client.until(pe, lambda messages: True)
        document = lsp.TextDocumentIdentifier(uri_of(pe))
        found = await client.wait(client.text_document_document_symbol_async(lsp.DocumentSymbolParams(document)))
        assert "twice" in {one.name for one in found}
        found = await client.wait(client.text_document_semantic_tokens_full_async(lsp.SemanticTokensParams(document)))
        assert len(found.data) % 5 == 0 and len(found.data) > 300 and min(found.data) >= 0
        at = client.at(pe, *place(PE, "var da§ta: [n]"))
        found = await client.wait(client.text_document_document_highlight_async(lsp.DocumentHighlightParams(**at)))
        assert len(found) == 5
        whole = lsp.Range(lsp.Position(0, 0), lsp.Position(99, 0))
        found = await client.wait(client.text_document_inlay_hint_async(lsp.InlayHintParams(document, whole)))
        assert [one.label for one in found] == [" = 8"]

    session(test, folder)


def test_settings_that_are_none_are_said(folder):
    async def test(client, pe):
        client.open(pe)
        await client.until(pe, lambda messages: True)
        assert client.shown == [
            "the setting wse.arch is wse2 or wse3, not 'wse9': it is not used",
            "the setting wse.params is names with integers, not {'n': 'many'}: it is not used",
        ]

    session(test, folder, settings={"wse": {"arch": "wse9", "params": {"n": "many"}, "sdkVersion": ""}})


def test_settings_and_the_log(folder):
    async def test(client, pe):
        client.open(pe)
        await client.until(pe, lambda messages: True)
        assert any("n = 5, from the editor's settings" in line for line in client.log)
        client.workspace_did_change_configuration(lsp.DidChangeConfigurationParams({"wse": {"params": {"n": 70000}}}))
        await client.until(pe, lambda messages: True)
        client.open(folder / "layout.csl")
        await client.until(folder / "layout.csl", lambda messages: any("70000" in one for one in messages))

    session(test, folder, settings={"params": {"n": 5}})


def test_hints_are_asked_for_again_when_there_is_a_new_profile(folder):
    async def test(client, pe):
        client.open(pe)
        await client.until(pe, lambda messages: True)
        before = client.refreshed
        uri = uri_of(folder / "out" / "profile.npz")
        change = lsp.FileEvent(uri, lsp.FileChangeType.Created)
        client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams([change]))
        await client.wait(client.text_document_hover_async(lsp.HoverParams(**client.at(pe, 1, 7))))
        assert client.refreshed > before

    session(test, folder)


def test_what_is_closed_and_what_is_no_file(folder):
    async def test(client, pe):
        client.open(pe, PE.replace("factor * value", "factor * nothing"))
        await client.until(pe, lambda messages: messages)
        client.text_document_did_close(lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(uri_of(pe))))
        await client.until(pe, lambda messages: not messages)
        document = lsp.TextDocumentIdentifier("untitled:new")
        client.text_document_did_open(
            lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem("untitled:new", "csl", 1, "x"))
        )
        params = lsp.HoverParams(document, lsp.Position(0, 0))
        assert await client.wait(client.text_document_hover_async(params)) is None
        gone = client.at(folder / "gone.csl", 3, 3)
        assert await client.wait(client.text_document_hover_async(lsp.HoverParams(**gone))) is None
        far = client.at(pe, 9_999, 9_999)
        assert await client.wait(client.text_document_completion_async(lsp.CompletionParams(**far))) is not None

    session(test, folder)


# ---- the process ----


def process(folder, *words):
    environment = os.environ | {"PYTHONPATH": str(PACKAGES)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    line = [sys.executable, "-P", "-m", "wse.cli", "lsp", *words]
    return subprocess.Popen(line, cwd=folder, env=environment, **pipes)


def test_the_end_of_the_input_ends_the_server(folder):
    started = process(folder)
    out, err = started.communicate(b"", timeout=60)
    assert (started.returncode, out, err) == (1, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_server(folder, number):
    started = process(folder, "--log=info")
    begin = (
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{},"processId":null,"rootUri":null}}'
    )
    started.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(begin), begin))
    started.stdin.flush()
    assert started.stdout.read(1)  # it has answered
    started.send_signal(number)
    assert started.wait(timeout=60) == 128 + number
    assert b"interrupted" in started.stderr.read()
    started.stdin.close()
    started.stdout.close()
    started.stderr.close()


@pytest.mark.parametrize(
    "message",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b'Content-Length: 17\r\n\r\n{"jsonrpc":"2.0"}',
        b"Content-Length: 999999999999\r\n\r\nx",
        b"\xff\xfe garbage\n\n\n",
    ],
)
def test_input_that_is_no_message_does_not_hang(folder, message):
    started = process(folder)
    _, err = started.communicate(message, timeout=60)
    assert started.returncode == 1 and b"Traceback" not in err


def test_without_pygls_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygls", None)
    monkeypatch.delitem(sys.modules, "wse.lsp.server", raising=False)
    result = CliRunner().invoke(main, ["lsp"])
    assert result.exit_code == 2 and "pip install 'wse[lsp]'" in result.output


def test_options_of_a_call_of_cslc():
    found = options_of(
        ["layout.csl", "--params=n:8,m:0x10", "--colors=c:3", "--fabric-dims=9,3", "--fabric-offsets=4,1"]
    )
    assert (found["params"], found["colors"], found["arch"]) == ({"n": 8, "m": 16}, {"c": 3}, "wse2")
    assert options_of(["layout.csl", "--parms=n:8"]) is None


def test_the_extension_for_vs_code_is_written(tmp_path):
    result = CliRunner().invoke(main, ["lsp", "--vscode", str(tmp_path / "csl")])
    assert result.exit_code == 0
    written = sorted(
        str(path.relative_to(tmp_path / "csl")) for path in (tmp_path / "csl").rglob("*") if path.is_file()
    )
    assert written == ["extension.js", "language-configuration.json", "package.json", "syntaxes/csl.tmLanguage.json"]
    assert result.output.count("\n") == len(written)
    (tmp_path / "file").write_text("")
    assert CliRunner().invoke(main, ["lsp", "--vscode", str(tmp_path / "file")]).exit_code == 2


@pytest.mark.parametrize("what", ["/dev/null", "file"])
def test_a_file_as_the_input(folder, what):
    path = Path(what) if what == "/dev/null" else folder / "messages"
    if what == "file":
        path.write_bytes(b'Content-Length: 46\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"nothing/is"}')
    with path.open("rb") as stdin:
        environment = os.environ | {"PYTHONPATH": str(PACKAGES)}
        line = [sys.executable, "-P", "-m", "wse.cli", "lsp"]
        done = subprocess.run(line, stdin=stdin, capture_output=True, env=environment, timeout=60)
    assert done.returncode == 1 and b"Traceback" not in done.stderr
