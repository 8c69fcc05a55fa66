// node three.js MODULES CHROMIUM FILE.glb PICTURE.png: loads a file with three.js in a browser without a window, and draws it.
//
// Prints JSON: for the pose that the file opens with ("") and for the middle of each clip, the places of all vertices of
// each skinned mesh in the world, as three.js skins them: float64 in base64.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const [modules, program, file, picture] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const browser = await chromium.launch({
  executablePath: program,
  args: ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
});
const page = await browser.newPage({ viewport: { width: 720, height: 960 } });
page.on("pageerror", (error) => { console.error(String(error)); process.exit(1); });
// Nothing leaves the machine: all that the page asks for is read from files.
await page.route("**/*", (route) => {
  const { pathname } = new URL(route.request().url());
  if (pathname === "/") return route.fulfill({ path: fileURLToPath(new URL("three.html", import.meta.url)), contentType: "text/html" });
  if (pathname === "/file.glb") return route.fulfill({ body: readFileSync(file) });
  return route.fulfill({ path: modules + pathname, contentType: "text/javascript" });
});
await page.goto("http://viewer/");
await page.waitForFunction(() => globalThis.result, null, { timeout: 120000 });
console.log(JSON.stringify(await page.evaluate(() => globalThis.result)));
await page.screenshot({ path: picture });
await browser.close();
