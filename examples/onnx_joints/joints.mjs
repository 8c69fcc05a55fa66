// Joints of the person whom a photo shows most surely, with the networks as ONNX files and no Python:
//
//     nbf export-model onnx
//     cd examples/onnx_joints && npm install --ignore-scripts
//     node joints.mjs ../../onnx photo.jpg
//
// What goes into each network and what comes out, model.json says. Everything here is of one look, at one person;
// `nbf predict` looks both ways, several times, and refines what it finds.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import sharp from "sharp";

const SIDE = 256; // of what locator and segmenter look at, pixels
const CELLS = 64; // of their maps
const WINDOW = 4; // cells around the likeliest one that a keypoint is the mean of
const MARGIN = 1.2; // side of a crop over the longer side of the person's box

const [folder, photo] = process.argv.slice(2);
if (!photo) throw new Error("expected a folder of `nbf export-model` and a photo: node joints.mjs FOLDER PHOTO");
const names = JSON.parse(readFileSync(join(folder, "model.json"), "utf8"));
const picture = await read(photo);

// Locate: the whole photo as a square, black around it. The likeliest cell is the middle of the surest person's box.
const whole = { x: picture.width / 2, y: picture.height / 2, side: Math.max(picture.width, picture.height) };
const { center, box } = await run("locator", { image: sample(picture, whole) });
const cell = likeliest(center.data);
const middle = [cell % CELLS, Math.floor(cell / CELLS)].map((index) => (index + 0.5) / CELLS);
const [left, top, right, bottom] = [0, 1, 2, 3].map((side) => box.data[side * CELLS * CELLS + cell]);
const inPhoto = (x, y) => [
  clamp(whole.x + (clamp(x, 0, 1) - 0.5) * whole.side, 0, picture.width),
  clamp(whole.y + (clamp(y, 0, 1) - 0.5) * whole.side, 0, picture.height),
];
const [x0, y0] = inPhoto(middle[0] - left, middle[1] - top);
const [x1, y1] = inPhoto(middle[0] + right, middle[1] + bottom);
const score = 1 / (1 + Math.exp(-center.data[cell]));

// See: which pixel is which part, and where the keypoints are.
const crop = { x: (x0 + x1) / 2, y: (y0 + y1) / 2, side: MARGIN * Math.max(x1 - x0, y1 - y0) };
const seen = await run("segmenter", { image: sample(picture, crop) });
const keypoints = names.keypoints.map((_, k) => decoded(map(seen.keypoints.data, k)));

// Fit: the body that these are of. Keypoints from -1 to 1 across the crop.
const given = keypoints.flatMap(([x, y, sure]) => [2 * x - 1, 2 * y - 1, sure]);
const fit = await run("fitter", {
  parts: new ort.Tensor("float32", softmaxOverChannels(seen.parts.data), seen.parts.dims),
  keypoints: new ort.Tensor("float32", Float32Array.from(given), [1, keypoints.length, 3]),
});

// Place it before the camera: a metre at the pelvis spans `scale` of the crop's side. The lens is a guess.
const focal = Math.hypot(picture.width, picture.height);
const depth = focal / (fit.scale.data[0] * crop.side);
const pelvis = [
  ((crop.x + (fit.offset.data[0] / 2) * crop.side - picture.width / 2) / focal) * depth,
  ((crop.y + (fit.offset.data[1] / 2) * crop.side - picture.height / 2) / focal) * depth,
  depth,
];
const origin = new ort.Tensor("float32", new Float32Array(3), [1, 3]);
const body = await run("body", { betas: fit.betas, rotations: fit.rotations, translation: origin });
// The root turns about the pelvis, which is not the origin. Vertices, and body.faces, would be moved by the same.
const joints = names.joints.map((_, j) =>
  pelvis.map((value, axis) => value + body.joints.data[3 * j + axis] - body.joints.data[axis]),
);

console.log(`person ${score.toFixed(3)} in box ${[x0, y0, x1, y1].map((value) => value.toFixed(1))}`);
console.log("keypoints, pixels of the photo and score:");
keypoints.forEach(([x, y, sure], k) => {
  const place = [crop.x + (x - 0.5) * crop.side, crop.y + (y - 0.5) * crop.side];
  console.log(names.keypoints[k], ...place.map((value) => value.toFixed(3)), sure.toFixed(3));
});
console.log("joints, metres before the camera, x right, y down:");
joints.forEach((joint, j) => console.log(names.joints[j], ...joint.map((value) => value.toFixed(5))));

async function read(path) {
  // Upright, by the camera's note, and without what is transparent.
  const { data, info } = await sharp(path).rotate().flatten().toColourspace("srgb").raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

async function run(name, feeds) {
  const session = await ort.InferenceSession.create(join(folder, `${name}.onnx`));
  return session.run(feeds);
}

/** A square of the picture as (1, 3, SIDE, SIDE), 0 to 1: first all columns, then all rows. */
function sample({ data, width, height }, { x, y, side }) {
  const across = filter(x - side / 2, side / SIDE, width);
  const down = filter(y - side / 2, side / SIDE, height);
  const image = new Float32Array(3 * SIDE * SIDE);
  const line = new Float32Array(3 * height);
  across.forEach((columns, column) => {
    line.fill(0);
    for (let row = 0; row < height; row++)
      for (const [pixel, weight] of columns)
        for (let channel = 0; channel < 3; channel++)
          line[3 * row + channel] += weight * data[3 * (row * width + pixel) + channel];
    down.forEach((rows, row) => {
      for (const [pixel, weight] of rows)
        for (let channel = 0; channel < 3; channel++)
          image[(channel * SIDE + row) * SIDE + column] += (weight * line[3 * pixel + channel]) / 255;
    });
  });
  return new ort.Tensor("float32", image, [1, 3, SIDE, SIDE]);
}

/** Which pixels each of SIDE places is the mean of, and their weights: a triangle, as wide as places are apart or, where
 * the crop enlarges, as pixels are. Beyond the picture there is black. */
function filter(start, step, length) {
  const reach = Math.max(step, 1);
  return Array.from({ length: SIDE }, (_, index) => {
    const place = start + (index + 0.5) * step;
    const taps = [];
    for (let pixel = Math.floor(place - reach); pixel <= place + reach; pixel++)
      taps.push([pixel, Math.max(0, 1 - Math.abs(pixel + 0.5 - place) / reach)]);
    const sum = taps.reduce((total, [, weight]) => total + weight, 0);
    return taps.filter(([pixel]) => pixel >= 0 && pixel < length).map(([pixel, weight]) => [pixel, weight / sum]);
  });
}

/** One map of several. */
function map(data, index) {
  return data.subarray(index * CELLS * CELLS, (index + 1) * CELLS * CELLS);
}

function likeliest(values) {
  return values.reduce((best, value, index) => (value > values[best] ? index : best), 0);
}

/** x, y in crop sides and a score: the mean of the map's softmax around its likeliest cell, over as many cells to the one
 * side as to the other, and how much of the softmax is there. */
function decoded(logits) {
  const best = likeliest(logits);
  const [column, row] = [best % CELLS, Math.floor(best / CELLS)];
  const weights = logits.map((value) => Math.exp(value - logits[best]));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const across = new Map();
  const down = new Map();
  let near = 0;
  for (let i = Math.max(0, row - WINDOW); i <= Math.min(CELLS - 1, row + WINDOW); i++)
    for (let j = Math.max(0, column - WINDOW); j <= Math.min(CELLS - 1, column + WINDOW); j++) {
      const weight = weights[i * CELLS + j];
      across.set(j - column, (across.get(j - column) ?? 0) + weight);
      down.set(i - row, (down.get(i - row) ?? 0) + weight);
      near += weight;
    }
  return [(column + balanced(across) + 0.5) / CELLS, (row + balanced(down) + 0.5) / CELLS, near / total];
}

function balanced(weights) {
  const radius = Math.min(-Math.min(...weights.keys()), Math.max(...weights.keys()));
  const kept = [...weights].filter(([distance]) => Math.abs(distance) <= radius);
  const sum = kept.reduce((total, [, weight]) => total + weight, 0);
  return kept.reduce((total, [distance, weight]) => total + distance * weight, 0) / sum;
}

function softmaxOverChannels(logits) {
  const cells = CELLS * CELLS;
  const shares = new Float32Array(logits.length);
  for (let cell = 0; cell < cells; cell++) {
    let highest = -Infinity;
    for (let at = cell; at < logits.length; at += cells) highest = Math.max(highest, logits[at]);
    let sum = 0;
    for (let at = cell; at < logits.length; at += cells) sum += shares[at] = Math.exp(logits[at] - highest);
    for (let at = cell; at < logits.length; at += cells) shares[at] /= sum;
  }
  return shares;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
