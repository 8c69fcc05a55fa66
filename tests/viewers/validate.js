// node validate.js MODULES FILE...: what Khronos' validator finds in glTF files, as JSON: a list of its reports.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, ...files] = process.argv.slice(2);
const { validateBytes } = createRequire(`${modules}/`)("gltf-validator");
const reports = files.map((path) => validateBytes(new Uint8Array(readFileSync(path))));
console.log(JSON.stringify(await Promise.all(reports)));
