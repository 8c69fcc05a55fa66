// web/ -> src/nbf/web/page, which `nbf serve` shows:
//
//   cd web && npm ci && npm run build
//
// The same sources and lock file make the same bytes; sources.sha256 says which they were, and a test compares.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { defineConfig } from "vite";

const sources = ["index.html", "package-lock.json", "vite.config.js", ...readdirSync("src").map((name) => `src/${name}`)];
const hash = createHash("sha256");
for (const source of sources.sort()) hash.update(readFileSync(source));

const licence = readFileSync("node_modules/three/LICENSE", "utf8").trim();

export default defineConfig({
  base: "./",
  build: {
    outDir: "../src/nbf/web/page",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    chunkSizeWarningLimit: 600,
    rollupOptions: {
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "[name].js",
        assetFileNames: "[name][extname]",
        banner: (chunk) => (chunk.name === "bodies" ? `/*! with three.js\n${licence} */` : ""),
      },
    },
  },
  plugins: [
    {
      name: "sources",
      generateBundle() {
        this.emitFile({ type: "asset", fileName: "sources.sha256", source: `${hash.digest("hex")}\n` });
      },
    },
  ],
});
