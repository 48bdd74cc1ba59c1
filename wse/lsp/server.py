"""The protocol: positions and requests of an editor to offsets and views, and answers back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from threading import Event
from traceback import extract_tb
from typing import Any, BinaryIO

from lsprotocol import types as lsp
from pygls import uris
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.io_ import StdoutWriter, run_async
from pygls.lsp.server import LanguageServer

from .._version import __version__
from ..csl import profile
from ..csl.syntax.errors import Diagnostic, Source, Span
from . import colouring, completion, hints, hover, navigation, outline, renaming, signatures
from .project import CommandReader, checked
from .session import FRESH, Found, Session
from .view import View

log = logging.getLogger(__name__)
SOON = 0.3  # seconds that a request which must be quick waits for the analysis
LONGEST_MESSAGE = 1 << 26  # bytes

SEVERITY = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "information": lsp.DiagnosticSeverity.Information,
    "note": lsp.DiagnosticSeverity.Information,
}
ITEM = {
    kind: lsp.CompletionItemKind(number)
    for number, kinds in {
        lsp.CompletionItemKind.Function: ("fn", "builtin"),
        lsp.CompletionItemKind.Event: ("task",),
        lsp.CompletionItemKind.Variable: ("param", "parameter", "var", "capture", "index"),
        lsp.CompletionItemKind.Constant: ("const",),
        lsp.CompletionItemKind.Module: ("module",),
        lsp.CompletionItemKind.Class: ("type",),
        lsp.CompletionItemKind.Value: ("value",),
        lsp.CompletionItemKind.EnumMember: ("member",),
        lsp.CompletionItemKind.Field: ("field",),
        lsp.CompletionItemKind.Operator: ("operator",),
        lsp.CompletionItemKind.File: ("file",),
        lsp.CompletionItemKind.Keyword: ("keyword",),
    }.items()
    for kind in kinds
}
SYMBOL = {
    "fn": lsp.SymbolKind.Function, "task": lsp.SymbolKind.Event, "param": lsp.SymbolKind.TypeParameter,
    "const": lsp.SymbolKind.Constant, "var": lsp.SymbolKind.Variable, "module": lsp.SymbolKind.Module,
    "struct": lsp.SymbolKind.Struct, "enum": lsp.SymbolKind.Enum, "field": lsp.SymbolKind.Field,
    "layout": lsp.SymbolKind.Namespace, "comptime": lsp.SymbolKind.Namespace,
}  # fmt: skip


class Server(LanguageServer):
    """The server; `session` exists once the editor has begun."""

    def __init__(self, read_command: CommandReader):
        super().__init__("wse", __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.Full)
        self.read_command = read_command
        self.session = Session(self.show, self.tell, read_command, self.refresh)
        self.working: asyncio.Task | None = None
        self.shown: set[Path] = set()
        self.asked_to_stop = False

    # ---- to the editor ----

    def tell(self, words: str) -> None:
        self.window_log_message(lsp.LogMessageParams(type=lsp.MessageType.Info, message=words))

    def refresh(self) -> None:
        """Lets the editor ask for hints again, if it can be told to."""
        capabilities = self.client_capabilities.workspace
        hints_of = capabilities.inlay_hint if capabilities is not None else None
        if hints_of is not None and hints_of.refresh_support:
            self.workspace_inlay_hint_refresh(None)

    def show(self, found: Found) -> None:
        """Publishes what is wrong with each file; a file with which nothing is wrong any more gets an empty list."""
        for path in self.shown - set(found):
            found[path] = []
        self.shown = {path for path, diagnostics in found.items() if diagnostics or path in self.session.sources.open}
        for path, diagnostics in found.items():
            made = [self.diagnostic(one) for one in diagnostics if one.span is not None]
            self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri=uri_of(path), diagnostics=made))

    def diagnostic(self, one: Diagnostic) -> lsp.Diagnostic:
        assert one.span is not None
        said = [sentence for span, sentence in one.notes if span is None]
        related = [
            lsp.DiagnosticRelatedInformation(self.location(span), sentence)
            for span, sentence in one.notes
            if span is not None
        ]
        return lsp.Diagnostic(
            range=self.range(one.span),
            message="\n".join([one.message, *said]),
            severity=SEVERITY.get(one.severity, lsp.DiagnosticSeverity.Warning),
            source="wse",
            related_information=related or None,
        )

    # ---- positions ----

    def position(self, source: Source, offset: int) -> lsp.Position:
        """A place of a text as the editor counts."""
        line, column = source.place(min(offset, len(source.text)))
        before = source.line(line)[: column - 1]
        return lsp.Position(line - 1, self.workspace.position_codec.client_num_units(before))

    def range(self, span: Span) -> lsp.Range:
        return self.range_of(span.source, span.start, span.end)

    def range_of(self, source: Source, start: int, end: int) -> lsp.Range:
        return lsp.Range(self.position(source, start), self.position(source, max(start, end)))

    def location(self, span: Span) -> lsp.Location:
        return lsp.Location(uri_of(Path(span.source.path)), self.range(span))

    def offset(self, source: Source, position: lsp.Position) -> int:
        """The offset of a place that the editor names."""
        if position.line >= len(source.starts):
            return len(source.text)
        line = source.line(position.line + 1)
        units, column = 0, 0
        codec = self.workspace.position_codec
        if line.isascii():
            column = min(position.character, len(line))
        else:
            while column < len(line) and units < position.character:
                units += codec.client_num_units(line[column])
                column += 1
        return source.starts[position.line] + column

    async def place(self, params: Any, seconds: float) -> tuple[View, int] | None:
        """The view and the offset that a request is about, None if there is no such file."""
        path = path_of(params.text_document.uri)
        if path is None:
            return None
        await self.session.settled(seconds)
        view = self.session.view(path)
        return (view, self.offset(view.parsed.source, params.position)) if view is not None else None

    async def view(self, uri: str, seconds: float) -> View | None:
        path = path_of(uri)
        if path is None:
            return None
        await self.session.settled(seconds)
        return self.session.view(path)


def uri_of(path: Path) -> str:
    return uris.from_fs_path(str(path)) or path.as_uri()


def path_of(uri: str) -> Path | None:
    """The resolved path of a file's URI, None of another scheme."""
    if not uri.startswith("file:"):
        return None
    name = uris.to_fs_path(uri)
    try:
        return Path(name).resolve() if name else None
    except (OSError, ValueError):
        return None


def build(read_command: CommandReader = lambda args: None) -> Server:
    """A server with its requests.  read_command: as project.Project has it."""
    server = Server(read_command)
    documents(server)
    questions(server)
    return server


# ---- the session ----


def documents(server: Server) -> None:
    """What the editor tells of files and settings."""
    session = server.session

    @server.feature(lsp.INITIALIZE)
    def initialize(params: lsp.InitializeParams) -> None:
        folders = [folder.uri for folder in params.workspace_folders or ()] or [params.root_uri or ""]
        session.project.roots = [path for uri in folders if (path := path_of(uri)) is not None]
        configure(server, params.initialization_options)

    @server.feature(lsp.INITIALIZED)
    async def initialized(params: lsp.InitializedParams) -> None:
        server.working = asyncio.create_task(session.work())
        session.touch()
        await asyncio.to_thread(hover.rows)  # read once, before it is asked for

    @server.feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)
    def configured(params: lsp.DidChangeConfigurationParams) -> None:
        configure(server, params.settings)
        session.touch()

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def folders(params: lsp.DidChangeWorkspaceFoldersParams) -> None:
        gone = {path_of(folder.uri) for folder in params.event.removed}
        added = [path for folder in params.event.added if (path := path_of(folder.uri)) is not None]
        session.project.roots = [root for root in session.project.roots if root not in gone] + added
        session.project.changed()
        session.touch()

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: lsp.DidOpenTextDocumentParams) -> None:
        put(params.text_document.uri, params.text_document.text)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: lsp.DidChangeTextDocumentParams) -> None:
        uri = params.text_document.uri
        put(uri, server.workspace.get_text_document(uri).source)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        put(params.text_document.uri, None)

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: lsp.DidSaveTextDocumentParams) -> None:
        session.project.changed()
        session.touch()

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def watched(params: lsp.DidChangeWatchedFilesParams) -> None:
        session.project.changed()
        session.touch()
        if any(change.uri.endswith(profile.FILE) for change in params.changes):
            server.refresh()

    @server.feature(lsp.SHUTDOWN)
    def shutdown(params: None) -> None:
        server.asked_to_stop = True
        session.generation += 1  # ends the analysis
        if server.working is not None:
            server.working.cancel()

    def put(uri: str, text: str | None) -> None:
        path = path_of(uri)
        if path is not None:
            session.put(path, text)


def configure(server: Server, given: Any) -> None:
    """Takes the settings of the section `wse`, or all that is given if there is no such section."""
    if isinstance(given, dict):
        own = given.get("wse", given)
        server.session.project.settings, wrong = checked(own if isinstance(own, dict) else {})
        for words in wrong:
            server.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, words))


# ---- questions ----


def questions(server: Server) -> None:
    """What the editor asks about a place or a file."""

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    async def on_hover(params: lsp.HoverParams) -> lsp.Hover | None:
        at = await server.place(params, FRESH)
        found = hover.hover(*at) if at is not None else None
        if at is None or found is None:
            return None
        words, (start, end) = found
        return lsp.Hover(
            lsp.MarkupContent(lsp.MarkupKind.Markdown, words), server.range_of(at[0].parsed.source, start, end)
        )

    @server.feature(lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=[".", "@", '"', "<", "/"]))
    async def on_completion(params: lsp.CompletionParams) -> lsp.CompletionList | None:
        at = await server.place(params, SOON)
        if at is None:
            return None
        view, offset = at
        found, start = completion.complete(view, offset)
        place = server.range_of(view.parsed.source, start, offset)
        return lsp.CompletionList(False, [item(one, place) for one in found])

    @server.feature(lsp.TEXT_DOCUMENT_SIGNATURE_HELP, lsp.SignatureHelpOptions(trigger_characters=["(", ","]))
    async def on_signature(params: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
        at = await server.place(params, SOON)
        found = signatures.signature_help(*at) if at is not None else None
        if found is None:
            return None
        parameters = [lsp.ParameterInformation(label) for label in found.parameters]
        words = lsp.MarkupContent(lsp.MarkupKind.Markdown, found.words) if found.words else None
        made = lsp.SignatureInformation(found.label, words, parameters, found.active)
        return lsp.SignatureHelp([made], 0, found.active)

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    async def on_definition(params: lsp.DefinitionParams) -> list[lsp.Location]:
        at = await server.place(params, FRESH)
        return [server.location(span) for span in navigation.definition(*at)] if at is not None else []

    @server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
    async def on_references(params: lsp.ReferenceParams) -> list[lsp.Location]:
        at = await server.place(params, FRESH)
        if at is None:
            return []
        return [server.location(span) for span in navigation.references(*at, params.context.include_declaration)]

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    async def on_highlight(params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight]:
        at = await server.place(params, SOON)
        if at is None:
            return []
        here = str(at[0].parsed.path)
        spans = navigation.references(*at)
        return [lsp.DocumentHighlight(server.range(span)) for span in spans if span.source.path == here]

    @server.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
    async def on_prepare(params: lsp.PrepareRenameParams) -> lsp.Range | None:
        at = await server.place(params, FRESH)
        return server.range(refused(renaming.renamed_place, *at)) if at is not None else None

    @server.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
    async def on_rename(params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
        at = await server.place(params, FRESH)
        if at is None:
            return None
        name = params.new_name.strip()
        changes: dict[str, Any] = {}
        for path, spans in refused(renaming.rename, *at, name).items():
            parsed = server.session.parsed(path)
            assert parsed is not None
            edits = [lsp.TextEdit(server.range_of(parsed.source, start, end), name) for start, end in spans]
            changes[uri_of(path)] = edits
        return lsp.WorkspaceEdit(changes)

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def on_symbols(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        view = await server.view(params.text_document.uri, 0.0)
        return [symbol(server, view.parsed.source, one) for one in outline.outline(view)] if view is not None else []

    legend = lsp.SemanticTokensLegend(list(colouring.TYPES), list(colouring.MODIFIERS))

    @server.feature(lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, legend)
    async def on_tokens(params: lsp.SemanticTokensParams) -> lsp.SemanticTokens:
        view = await server.view(params.text_document.uri, 0.0)
        return lsp.SemanticTokens(list(encoded(server, view)) if view is not None else [])

    @server.feature(lsp.TEXT_DOCUMENT_INLAY_HINT)
    async def on_hints(params: lsp.InlayHintParams) -> list[lsp.InlayHint]:
        view = await server.view(params.text_document.uri, FRESH)
        if view is None:
            return []
        source = view.parsed.source
        start, end = server.offset(source, params.range.start), server.offset(source, params.range.end)
        found = hints.hints(view, server.session.profiles, start, end)
        return [
            lsp.InlayHint(
                position=server.position(source, one.offset),
                label=one.label,
                tooltip=lsp.MarkupContent(lsp.MarkupKind.Markdown, one.words),
            )
            for one in found
        ]


def refused(action: Any, *args: Any) -> Any:
    """The result of an action; why a name cannot be changed becomes the error of the request."""
    try:
        return action(*args)
    except renaming.CannotRename as error:
        raise JsonRpcInvalidParams(str(error)) from None


def item(one: completion.Proposal, place: lsp.Range) -> lsp.CompletionItem:
    words = lsp.MarkupContent(lsp.MarkupKind.Markdown, one.words) if one.words else None
    return lsp.CompletionItem(
        label=one.name,
        kind=ITEM[one.kind],
        detail=one.detail or None,
        documentation=words,
        text_edit=lsp.TextEdit(place, one.name),
        filter_text=one.name,
    )


def symbol(server: Server, source: Source, one: outline.Symbol) -> lsp.DocumentSymbol:
    return lsp.DocumentSymbol(
        name=one.name,
        kind=SYMBOL[one.kind],
        range=server.range_of(source, *one.span),
        selection_range=server.range_of(source, *one.name_span),
        detail=one.detail or None,
        children=[symbol(server, source, child) for child in one.children] or None,
    )


def encoded(server: Server, view: View) -> Iterable[int]:
    """Semantic tokens as the protocol has them: each relative to the one before."""
    line = column = 0
    for start, end, kind, modifiers in colouring.tokens(view):
        place = server.range_of(view.parsed.source, start, end)
        moved = place.start.line - line
        yield moved
        yield place.start.character - (0 if moved else column)
        yield place.end.character - place.start.character
        yield colouring.TYPES.index(kind)
        yield sum(1 << colouring.MODIFIERS.index(modifier) for modifier in modifiers)
        line, column = place.start.line, place.start.character


# ---- standard input and output ----


def is_own_fault(record: logging.LogRecord) -> bool:
    """Whether a line of the log is not of an error that is answered to the editor: a message that is none, a request
    that is refused."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return not record.name.startswith("pygls")
    if isinstance(error, JsonRpcException):
        return False
    return any(frame.filename.startswith(str(Path(__file__).parent)) for frame in extract_tb(error.__traceback__))


def serve(server: Server, stdin: BinaryIO, stdout: BinaryIO) -> int:
    """Speaks the protocol until the editor ends it; the exit status: 1 if it did not say `shutdown` before."""
    try:
        asyncio.run(_serve(server, stdin, stdout))
    except SystemExit:  # of the notification `exit`
        pass
    except BrokenPipeError:
        return 1
    return 0 if server.asked_to_stop else 1


async def _serve(server: Server, stdin: BinaryIO, stdout: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_MESSAGE)
    mode = os.fstat(stdin.fileno()).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stdin.isatty():
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stdin)
    else:  # a file: all of it is there
        reader.feed_data(stdin.read())
        reader.feed_eof()
    server.protocol.set_writer(StdoutWriter(stdout))
    with contextlib.suppress(asyncio.IncompleteReadError):
        await run_async(
            stop_event=Event(),
            reader=reader,
            protocol=server.protocol,
            logger=log,
            error_handler=server.report_server_error,
        )
