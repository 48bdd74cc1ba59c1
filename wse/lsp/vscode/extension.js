// Starts `wse lsp` for files of CSL, and `wse debug --dap` for their debugger.
"use strict";

const { DebugAdapterExecutable, debug, workspace } = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

let client;

function activate(context) {
  const settings = workspace.getConfiguration("wse");
  const adapter = { createDebugAdapterDescriptor: () => new DebugAdapterExecutable(settings.get("command", "wse"), ["debug", "--dap"]) };
  context.subscriptions.push(debug.registerDebugAdapterDescriptorFactory("wse", adapter));
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
