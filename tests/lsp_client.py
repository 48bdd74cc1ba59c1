"""A client of the language server for tests: a process of `wse lsp` and the client library of pygls."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from documents import PACKAGES
from lsprotocol import types as lsp
from pygls import uris
from pygls.lsp.client import LanguageClient

WAIT = 20.0  # seconds for anything, on a machine that is busy


class Client(LanguageClient):
    """Keeps what the server publishes: diagnostics by path, lines of the log."""

    def __init__(self) -> None:
        super().__init__("test", "1")
        self.diagnostics: dict[Path, list[lsp.Diagnostic]] = {}
        self.log: list[str] = []
        self.shown: list[str] = []
        self.refreshed = 0
        self.published = asyncio.Condition()
        self.count = 0
        self.versions: dict[Path, int] = {}

        @self.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        async def publish(params: lsp.PublishDiagnosticsParams) -> None:
            async with self.published:
                self.diagnostics[path_of(params.uri)] = list(params.diagnostics)
                self.count += 1
                self.published.notify_all()

        @self.feature(lsp.WORKSPACE_INLAY_HINT_REFRESH)
        def refresh(params: None) -> None:
            self.refreshed += 1

        @self.feature(lsp.WINDOW_SHOW_MESSAGE)
        def show(params: lsp.ShowMessageParams) -> None:
            self.shown.append(params.message)

        @self.feature(lsp.WINDOW_LOG_MESSAGE)
        def log(params: lsp.LogMessageParams) -> None:
            self.log.append(params.message)

    # ---- the session ----

    async def begin(self, root: Path, encodings: list[str] | None = None, settings: object = None) -> None:
        environment = os.environ | {"PYTHONPATH": str(PACKAGES)}
        await self.start_io(sys.executable, "-P", "-m", "wse.cli", "lsp", env=environment)
        general = lsp.GeneralClientCapabilities(position_encodings=encodings) if encodings else None
        hints = lsp.InlayHintWorkspaceClientCapabilities(refresh_support=True)
        workspace = lsp.WorkspaceClientCapabilities(inlay_hint=hints)
        self.initialized_with = await self.wait(
            self.initialize_async(
                lsp.InitializeParams(
                    capabilities=lsp.ClientCapabilities(general=general, workspace=workspace),
                    root_uri=uri_of(root),
                    initialization_options=settings,
                )
            )
        )
        self.initialized(lsp.InitializedParams())

    async def end(self) -> int:
        """Ends the session as an editor does; the exit status."""
        await self.wait(self.shutdown_async(None))
        self.exit(None)
        assert self._server is not None
        return await self.wait(self._server.wait())

    async def wait(self, what):
        return await asyncio.wait_for(what, WAIT)

    # ---- texts ----

    def open(self, path: Path, text: str | None = None) -> None:
        self.versions[path] = 1
        text = path.read_text() if text is None else text
        self.text_document_did_open(lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri_of(path), "csl", 1, text)))

    def change(self, path: Path, text: str) -> None:
        self.versions[path] += 1
        self.text_document_did_change(
            lsp.DidChangeTextDocumentParams(
                lsp.VersionedTextDocumentIdentifier(self.versions[path], uri_of(path)),
                [lsp.TextDocumentContentChangeWholeDocument(text)],
            )
        )

    async def until(self, path: Path, condition) -> list[lsp.Diagnostic]:
        """The diagnostics of a file, as soon as their messages satisfy the condition."""

        def holds() -> bool:
            return path in self.diagnostics and condition([one.message for one in self.diagnostics[path]])

        async def wait() -> None:
            async with self.published:
                await self.published.wait_for(holds)

        await self.wait(wait())
        return self.diagnostics[path]

    # ---- questions ----

    def at(self, path: Path, line: int, character: int) -> dict:
        return {
            "text_document": lsp.TextDocumentIdentifier(uri_of(path)),
            "position": lsp.Position(line, character),
        }


def uri_of(path: Path) -> str:
    made = uris.from_fs_path(str(path))
    assert made is not None
    return made


def path_of(uri: str) -> Path:
    found = uris.to_fs_path(uri)
    assert found is not None
    return Path(found)
