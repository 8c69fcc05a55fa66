// viewer.ts and the parts of three.js that it needs -> src/nbf/assets/viewer.min.js, which `nbf.export.page` embeds.
//
//   cd tools/viewer && npm ci && npm run build
//
// A script, not a module: notebooks evaluate it as text. It defines `nbfViewer` with what viewer.ts exports. The same
// sources and lock file make the same bytes; the first line says which they were, and a test compares.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const hash = createHash("sha256");
for (const source of ["viewer.ts", "package-lock.json", "build.mjs"]) hash.update(readFileSync(source));
const [description, licence] = ["package.json", "LICENSE"].map((name) => readFileSync(`node_modules/three/${name}`, "utf8"));

await build({
  entryPoints: ["viewer.ts"],
  outfile: "../../src/nbf/assets/viewer.min.js",
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "nbfViewer",
  target: "es2022",
  legalComments: "none",
  banner: {
    js: `/* sha256 of sources: ${hash.digest("hex")}
Neural Body Fitting's viewer (Apache-2.0), made from tools/viewer by \`npm run build\`. It contains three.js ${JSON.parse(description).version}:

${licence.trim()} */`,
  },
});
