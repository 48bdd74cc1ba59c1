// Builds wse/report/explorer.js and explorer.css from src/.  Their first line has a digest of the sources, which
// tests/report/test_explorer.py compares: the sha256 of the names and contents of package.json, build.mjs and src/*.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { build } from "esbuild";

const sources = ["build.mjs", "package.json", ...readdirSync("src").map((name) => `src/${name}`)].sort();
const digest = createHash("sha256");
for (const name of sources) digest.update(`${name}\0`).update(readFileSync(name)).update("\0");
const banner = `/* wse explorer: built from wse/report/explorer (npm run build); sources ${digest.digest("hex")} */`;
const license = `/* uPlot ${JSON.parse(readFileSync("node_modules/uplot/package.json")).version}\n${readFileSync("node_modules/uplot/LICENSE", "utf8").trim()}\n*/`;

await build({
  entryPoints: { explorer: "src/main.ts" },
  outdir: "..",
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  banner: { js: `${banner}\n${license}`, css: banner },
});
