// A session of VS Code's test client with `wse debug --dap`: node session.cjs PYTHON ADAPTER FOLDER.  Prints what it saw as JSON.
const { DebugClient } = require("@vscode/debugadapter-testsupport");
const path = require("path");

async function session(python, adapter, folder) {
  const client = new DebugClient(python, adapter, "wse", { cwd: folder, env: process.env });
  client.defaultTimeout = 100000;
  await client.start();
  const seen = {}, file = path.join(folder, "pe.csl");
  const launch = { program: "out", script: "run.py", args: ["--steps", "6"], cwd: folder };
  const capabilities = client.waitForEvent("initialized");
  await client.hitBreakpoint(launch, { path: file, line: 75 }); // asserts the reason, the file and the line of the stop
  await capabilities;
  const [thread] = (await client.threadsRequest()).body.threads;
  seen.thread = thread.name;
  const top = async () => (await client.stackTraceRequest({ threadId: thread.id })).body.stackFrames[0];
  const moved = async (request) => { const stop = client.waitForEvent("stopped"); await request; return (await stop).body.reason; };
  const frame = await top();
  seen.frame = frame.name;
  const { scopes } = (await client.scopesRequest({ frameId: frame.id })).body;
  const { variables } = (await client.variablesRequest({ variablesReference: scopes[0].variablesReference })).body;
  seen.steps = variables.find((variable) => variable.name === "steps").value;
  seen.next = [await moved(client.nextRequest({ threadId: thread.id })), (await top()).line];
  seen.back = [await moved(client.stepBackRequest({ threadId: thread.id })), (await top()).line];
  seen.value = (await client.evaluateRequest({ expression: "steps * 2", frameId: frame.id })).body.result;
  const condition = { source: { path: file }, breakpoints: [{ line: 75, condition: "steps == 4" }, { line: 75, condition: "stepz" }] };
  const [good, bad] = (await client.setBreakpointsRequest(condition)).body.breakpoints;
  seen.verified = [good.verified, bad.verified];
  seen.condition = [await moved(client.continueRequest({ threadId: thread.id })), (await client.evaluateRequest({ expression: "steps" })).body.result];
  seen.reverse = await moved(client.reverseContinueRequest({ threadId: thread.id }));
  seen.error = await client.evaluateRequest({ expression: "nothing" }).then(() => "", (error) => error.message);
  await client.setBreakpointsRequest({ source: { path: file }, breakpoints: [] });
  const exited = client.waitForEvent("exited"), ended = client.waitForEvent("terminated");
  await client.continueRequest({ threadId: thread.id });
  seen.exit = (await exited).body.exitCode;
  await ended;
  return seen;
}

session(...process.argv.slice(2)).then((seen) => { console.log(JSON.stringify(seen)); process.exit(0); }, (error) => { console.error(error); process.exit(1); });
