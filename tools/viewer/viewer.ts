// Bodies that can be turned, on a canvas: what HTML pages and notebooks show. Metres, y up.
import {
  type Box3,
  BufferAttribute,
  BufferGeometry,
  CanvasTexture,
  Color,
  DirectionalLight,
  GridHelper,
  HemisphereLight,
  type Material,
  MathUtils,
  Mesh,
  MeshLambertMaterial,
  PerspectiveCamera,
  Scene,
  Sphere,
  Spherical,
  Sprite,
  SpriteMaterial,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

/** A mesh; faces are counter-clockwise from outside. */
export interface Body {
  /** x, y, z of each vertex. */
  positions: Float32Array;
  /** Three vertices a face. */
  faces: Uint32Array;
  /** Of each face, 1 if its place is a guess: drawn pale. */
  guessed: Uint8Array;
}

type Triple = [number, number, number];

// The studio of nbf.render.mesh: linear colours of clay, sky and ground; lights that come along with the camera (x right,
// y up, z backward).
const CLAY: Triple = [0.72, 0.6, 0.52];
const PALE: Triple = [0.86, 0.88, 0.92];
const SKY: Triple = [0.3, 0.32, 0.36];
const GROUND: Triple = [0.15, 0.13, 0.12];
const LIGHTS: { from: Triple; color: Triple }[] = [
  { from: [-0.45, 0.6, 0.66], color: [0.62, 0.58, 0.53] },
  { from: [0.8, 0.05, 0.5], color: [0.16, 0.19, 0.24] },
  { from: [0.2, 0.55, -0.8], color: [0.22, 0.22, 0.24] },
];
const GRID = 0xb9bec8;
const INK = "#5a5a60";
/** Height of numbers, metres. */
const LETTER = 0.24;
// Radians: of the lens; from how high and from which side one looks first; by which an arrow key turns.
const LENS = Math.PI / 6;
const START = new Vector3().setFromSphericalCoords(1, Math.PI / 2.2, Math.PI / 7);
const STEP = Math.PI / 12;
/** By how much a key comes nearer. */
const NEARER = 0.85;
/** Room around the people. */
const MARGIN = 1.1;

/**
 * Bodies as `nbf.export.page` packs them: base64 of a gzip stream of, little endian, the number of bodies, of vertices and
 * of faces (uint32), the least corner and the extent of each body (6 float32), the faces that all share (uint32), vertices
 * in 65535ths of the extent (uint16), and which faces are guessed (uint8).
 */
export async function unpack(text: string): Promise<Body[]> {
  const buffer = await inflated(text);
  const [count, vertices, triangles] = new Uint32Array(buffer, 0, 3);
  const boxes = new Float32Array(buffer, 12, 6 * count);
  const faces = new Uint32Array(buffer, 12 + boxes.byteLength, 3 * triangles);
  const steps = new Uint16Array(buffer, faces.byteOffset + faces.byteLength, 3 * vertices * count);
  const guessed = new Uint8Array(buffer, steps.byteOffset + steps.byteLength, triangles * count);
  return Array.from({ length: count }, (_, body) => {
    const box = boxes.subarray(6 * body, 6 * body + 6);
    const own = steps.subarray(3 * vertices * body, 3 * vertices * (body + 1));
    return {
      positions: Float32Array.from(own, (step, i) => box[i % 3] + (box[3 + (i % 3)] * step) / 65535),
      faces,
      guessed: guessed.subarray(triangles * body, triangles * (body + 1)),
    };
  });
}

/**
 * Shows bodies in an element, which has a size of its own. Dragging turns, the wheel and two fingers zoom, dragging with
 * the right button moves, arrow keys turn, + and - zoom, a double click goes back to the start. Several bodies have their
 * numbers above their heads.
 *
 * `scrolls`: the element is part of a page that scrolls, so the wheel is its own only once somebody has clicked on it.
 */
export function view(host: HTMLElement, bodies: Body[], scrolls = false): void {
  const scene = new Scene();
  const camera = new PerspectiveCamera(MathUtils.radToDeg(LENS));
  scene.add(camera, new HemisphereLight(linear(SKY), linear(GROUND), Math.PI));
  for (const { from, color } of LIGHTS) {
    const light = new DirectionalLight(linear(color), Math.PI);
    light.position.set(...from);
    camera.add(light, light.target);
  }
  const materials = [CLAY, PALE].map((color) => new MeshLambertMaterial({ color: linear(color) }));
  const around = new Sphere();
  let lowest = Infinity;
  for (const [index, body] of bodies.entries()) {
    const mesh = meshed(body, materials);
    scene.add(mesh);
    const box = mesh.geometry.boundingBox!;
    if (bodies.length > 1) scene.add(numbered(index, box));
    lowest = Math.min(lowest, box.min.y);
    around.union(box.getBoundingSphere(new Sphere()));
  }
  if (bodies.length) {
    const squares = 2 * Math.ceil(around.radius + 0.5);
    const grid = new GridHelper(squares, squares, GRID, GRID);
    grid.position.set(around.center.x, lowest, around.center.z);
    scene.add(grid);
  }
  const target = new Vector3();
  let stop: (() => void) | undefined;
  // A browser keeps few contexts, and a notebook has many cells: only what can be seen has one.
  new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) {
      stop?.();
      stop = undefined;
    } else if (!stop) {
      try {
        stop = shown(host, scene, camera, target, around, scrolls);
      } catch {
        host.textContent = "3D needs WebGL, which this browser does not offer.";
      }
    }
  }).observe(host);
}

/** Draws a scene in an element until the function that it returns is called. */
function shown(
  host: HTMLElement,
  scene: Scene,
  camera: PerspectiveCamera,
  target: Vector3,
  around: Sphere,
  scrolls: boolean,
): () => void {
  const renderer = new WebGLRenderer({ antialias: true, alpha: true });
  const canvas = renderer.domElement;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Bodies in 3D; arrow keys turn them");
  canvas.style.cssText = "display:block;width:100%;height:100%;cursor:grab";
  host.replaceChildren(canvas);
  const controls = new OrbitControls(camera, canvas);
  controls.target = target;
  const draw = () => renderer.render(scene, camera);
  const reset = () => {
    const half = Math.atan(Math.tan(LENS / 2) * Math.min(1, camera.aspect));
    target.copy(around.center);
    camera.position.copy(START).multiplyScalar((MARGIN * around.radius) / Math.sin(half)).add(around.center);
    camera.near = around.radius / 100;
    camera.far = around.radius * 100;
    camera.updateProjectionMatrix();
    controls.update();
    draw();
  };
  const resize = () => {
    renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    renderer.setSize(host.clientWidth, host.clientHeight, false);
    camera.aspect = host.clientWidth / Math.max(host.clientHeight, 1);
    camera.updateProjectionMatrix();
    draw();
  };
  controls.enableZoom = !scrolls;
  canvas.addEventListener("pointerdown", () => (controls.enableZoom = true));
  canvas.addEventListener("pointerleave", () => (controls.enableZoom = !scrolls));
  canvas.addEventListener("dblclick", reset);
  canvas.addEventListener("keydown", (event) => {
    if (turned(camera, target, event.key)) {
      event.preventDefault();
      controls.update();
    }
  });
  controls.addEventListener("change", draw);
  resize();
  // Whoever scrolls away and back finds the view as it was left.
  if (camera.position.lengthSq() === 0) reset();
  else controls.update();
  const observer = new ResizeObserver(resize);
  observer.observe(host);
  return () => {
    observer.disconnect();
    controls.dispose();
    renderer.dispose();
    renderer.forceContextLoss();
  };
}

/** Moves the camera about the target as a key says; false for other keys. */
function turned(camera: PerspectiveCamera, target: Vector3, key: string): boolean {
  const place = new Spherical().setFromVector3(camera.position.clone().sub(target));
  if (key === "ArrowLeft") place.theta -= STEP;
  else if (key === "ArrowRight") place.theta += STEP;
  else if (key === "ArrowUp") place.phi -= STEP;
  else if (key === "ArrowDown") place.phi += STEP;
  else if (key === "+") place.radius *= NEARER;
  else if (key === "-") place.radius /= NEARER;
  else return false;
  camera.position.setFromSpherical(place.makeSafe()).add(target);
  return true;
}

function meshed(body: Body, materials: Material[]): Mesh {
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(body.positions, 3));
  const [seen, guessed] = [0, 1].map((kind) => body.faces.filter((_, i) => body.guessed[Math.floor(i / 3)] === kind));
  const corners = new Uint32Array(body.faces.length);
  corners.set(seen);
  corners.set(guessed, seen.length);
  geometry.setIndex(new BufferAttribute(corners, 1));
  geometry.addGroup(0, seen.length, 0);
  geometry.addGroup(seen.length, guessed.length, 1);
  geometry.computeVertexNormals();
  geometry.computeBoundingBox();
  return new Mesh(geometry, materials);
}

/** The number of a body, above its head. */
function numbered(index: number, box: Box3): Sprite {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const pen = canvas.getContext("2d")!;
  pen.font = "44px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillStyle = INK;
  pen.fillText(String(index), 32, 32);
  const sprite = new Sprite(new SpriteMaterial({ map: new CanvasTexture(canvas), depthTest: false }));
  sprite.scale.setScalar(LETTER);
  box.getCenter(sprite.position).setY(box.max.y + LETTER / 2);
  return sprite;
}

function linear(color: Triple): Color {
  return new Color().setRGB(...color);
}

async function inflated(text: string): Promise<ArrayBuffer> {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
