// Starts `wse lsp` for files of CSL.
"use strict";

const { workspace } = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

let client;

function activate() {
  const settings = workspace.getConfiguration("wse");
  const server = { command: settings.get("command", "wse"), args: ["lsp"], transport: TransportKind.stdio };
  client = new LanguageClient("wse", "CSL (wse)", server, {
    documentSelector: [{ scheme: "file", language: "csl" }],
    initializationOptions: JSON.parse(JSON.stringify(settings)),
    synchronize: {
      configurationSection: "wse",
      fileEvents: workspace.createFileSystemWatcher("**/{*.csl,*.sh,Makefile,out.json,profile.npz}"),
    },
  });
  return client.start();
}

function deactivate() {
  return client && client.stop();
}

module.exports = { activate, deactivate };
