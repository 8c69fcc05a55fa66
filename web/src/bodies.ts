// Bodies in 3D, over the photo by its own camera and in a space to be turned. Metres; OpenGL's frame: y up, z backward.
import {
  BufferAttribute, BufferGeometry, Color, DirectionalLight, GridHelper, HemisphereLight, LineBasicMaterial, LineSegments,
  Mesh, MeshLambertMaterial, PerspectiveCamera, Scene, Sphere, Spherical, Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import type { BodyModel, People } from "./api";

type Triple = [number, number, number];

// The studio of nbf.render.mesh: linear colours; lights come along with the camera.
const CLAY: Triple = [0.72, 0.6, 0.52];
const CHOSEN: Triple = [0.45, 0.62, 0.75];
const LIGHTS: { from: Triple; color: Triple }[] = [
  { from: [-0.45, 0.6, 0.66], color: [0.62, 0.58, 0.53] },
  { from: [0.8, 0.05, 0.5], color: [0.16, 0.19, 0.24] },
  { from: [0.2, 0.55, -0.8], color: [0.22, 0.22, 0.24] },
];
const BONES = 0xc2185b;
const GRID = 0x8d95a5;
/** Pixels from stripe to stripe of what is guessed. */
const STRIPES = "9.0";
const LENS = 35;
const STEP = Math.PI / 12;

/** People as meshes and bones, for any number of views. */
export class Bodies {
  readonly geometries: BufferGeometry[] = [];
  readonly bones: BufferGeometry[] = [];
  readonly sphere = new Sphere();
  lowest = Infinity;

  constructor(readonly people: People, vertices: Float32Array, model: BodyModel, faces: Uint16Array) {
    people.people.forEach((person, index) => {
      const own = vertices.slice(3 * model.vertices * index, 3 * model.vertices * (index + 1));
      for (let i = 0; i < own.length; i += 3) (own[i + 1] *= -1), (own[i + 2] *= -1);
      const geometry = new BufferGeometry();
      geometry.setAttribute("position", new BufferAttribute(own, 3));
      const guessed = model.merged_parts.map((name) => person.certainty.parts[name]?.guessed ?? false);
      const corners: number[][] = [[], []];
      for (let i = 0; i < faces.length; i += 4) corners[Number(guessed[faces[i + 3]])].push(faces[i], faces[i + 1], faces[i + 2]);
      geometry.setIndex(corners.flat());
      geometry.addGroup(0, corners[0].length, 0);
      geometry.addGroup(corners[0].length, corners[1].length, 1);
      geometry.computeVertexNormals();
      geometry.computeBoundingBox();
      const box = geometry.boundingBox!;
      this.lowest = Math.min(this.lowest, box.min.y);
      this.sphere.union(box.getBoundingSphere(new Sphere()));
      this.geometries.push(geometry);
      const joints = person.joints.smpl24["3d"].map(([x, y, z]) => new Vector3(x, -y, -z));
      const lines = model.parents.flatMap((parent, joint) => (parent < 0 ? [] : [joints[parent], joints[joint]]));
      this.bones.push(new BufferGeometry().setFromPoints(lines));
    });
  }

  dispose(): void {
    for (const geometry of [...this.geometries, ...this.bones]) geometry.dispose();
  }
}

/** What both views have: a canvas, lights, people. */
class View {
  protected readonly scene = new Scene();
  protected readonly camera = new PerspectiveCamera(LENS);
  protected readonly renderer: WebGLRenderer;
  protected bodies?: Bodies;
  private meshes: Mesh[] = [];
  private readonly materials = [CLAY, CHOSEN].map((color) => [plain(color), striped(color)]);

  /** Throws where there is no WebGL. */
  constructor(readonly canvas: HTMLCanvasElement) {
    this.renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true });
    this.scene.add(this.camera, new HemisphereLight(linear([0.3, 0.32, 0.36]), linear([0.15, 0.13, 0.12]), Math.PI));
    for (const { from, color } of LIGHTS) {
      const light = new DirectionalLight(linear(color), Math.PI);
      light.position.set(...from);
      this.camera.add(light, light.target);
    }
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement!);
  }

  show(bodies: Bodies, chosen: number): void {
    this.bodies = bodies;
    this.scene.remove(...this.meshes);
    this.meshes = bodies.geometries.map((geometry) => new Mesh(geometry, this.materials[0]));
    this.choose(chosen);
    if (this.meshes.length) this.scene.add(...this.meshes);
    this.resize();
  }

  choose(chosen: number): void {
    const several = this.meshes.length > 1;
    this.meshes.forEach((mesh, index) => (mesh.material = this.materials[Number(several && index === chosen)]));
    this.draw();
  }

  setWireframe(on: boolean): void {
    for (const material of this.materials.flat()) material.wireframe = on;
    this.draw();
  }

  draw(): void {
    this.renderer.render(this.scene, this.camera);
  }

  protected resize(): void {
    const { clientWidth, clientHeight } = this.canvas.parentElement!;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.renderer.setSize(clientWidth, clientHeight, false);
    this.camera.aspect = clientWidth / Math.max(clientHeight, 1);
    this.frame();
    this.draw();
  }

  protected frame(): void {
    this.camera.updateProjectionMatrix();
  }
}

/** Over the photo. */
export class Overlay extends View {
  protected override frame(): void {
    if (!this.bodies) return;
    const { width, height, camera } = this.bodies.people;
    const near = 0.05;
    const [x, y] = camera.center.map((value) => (value * near) / camera.focal);
    const [w, h] = [width, height].map((value) => (value * near) / camera.focal);
    this.camera.projectionMatrix.makePerspective(-x, w - x, y, y - h, near, 1000);
    this.camera.projectionMatrixInverse.copy(this.camera.projectionMatrix).invert();
  }
}

/** To be turned: by dragging, two fingers, the wheel and arrow keys. */
export class Space extends View {
  private readonly controls: OrbitControls;
  private readonly bones = new LineBasicMaterial({ color: BONES, depthTest: false });
  private lines: LineSegments[] = [];
  private grid?: GridHelper;
  private skeleton = false;
  private floor = true;

  constructor(canvas: HTMLCanvasElement) {
    super(canvas);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.addEventListener("change", () => this.draw());
    canvas.addEventListener("keydown", (event) => {
      if (this.turned(event.key)) event.preventDefault();
    });
  }

  override show(bodies: Bodies, chosen: number): void {
    const first = this.bodies === undefined || this.bodies.people.width !== bodies.people.width;
    this.scene.remove(...this.lines);
    this.lines = bodies.bones.map((geometry) => new LineSegments(geometry, this.bones));
    for (const line of this.lines) line.renderOrder = 1;
    if (this.lines.length) this.scene.add(...this.lines);
    if (this.grid) this.scene.remove(this.grid);
    const squares = 2 * Math.ceil(bodies.sphere.radius + 0.5);
    this.grid = new GridHelper(squares, squares, GRID, GRID);
    this.grid.position.set(bodies.sphere.center.x, bodies.lowest, bodies.sphere.center.z);
    this.scene.add(this.grid);
    this.setSkeleton(this.skeleton);
    this.setFloor(this.floor);
    super.show(bodies, chosen);
    if (first) this.fromTheSide();
  }

  setSkeleton(on: boolean): void {
    this.skeleton = on;
    for (const line of this.lines) line.visible = on;
    this.draw();
  }

  setFloor(on: boolean): void {
    this.floor = on;
    if (this.grid) this.grid.visible = on;
    this.draw();
  }

  /** Where the photo was taken from, with its lens. */
  asInPhoto(): void {
    if (!this.bodies) return;
    const { width, height, camera } = this.bodies.people;
    // As much as the photo shows, both ways.
    const most = Math.max(height, width / this.camera.aspect);
    this.camera.fov = (2 * Math.atan(most / 2 / camera.focal) * 180) / Math.PI;
    const depth = -this.bodies.sphere.center.z;
    const aside = new Vector3(width / 2 - camera.center[0], camera.center[1] - height / 2, -camera.focal);
    this.look(new Vector3(), aside.multiplyScalar(depth / camera.focal));
  }

  fromTheSide(): void {
    if (!this.bodies?.geometries.length) return;
    this.camera.fov = LENS;
    const { center, radius } = this.bodies.sphere;
    const half = Math.atan(Math.tan((LENS * Math.PI) / 360) * Math.min(1, this.camera.aspect));
    const from = new Vector3().setFromSphericalCoords((1.05 * radius) / Math.sin(half), 1.43, 0.6);
    this.look(from.add(center), center);
  }

  private look(from: Vector3, to: Vector3): void {
    this.camera.position.copy(from);
    this.controls.target.copy(to);
    this.camera.near = 0.05;
    this.camera.far = 1000;
    this.camera.updateProjectionMatrix();
    this.controls.update();
    this.draw();
  }

  private turned(key: string): boolean {
    const place = new Spherical().setFromVector3(this.camera.position.clone().sub(this.controls.target));
    if (key === "ArrowLeft") place.theta -= STEP;
    else if (key === "ArrowRight") place.theta += STEP;
    else if (key === "ArrowUp") place.phi -= STEP;
    else if (key === "ArrowDown") place.phi += STEP;
    else if (key === "+") place.radius *= 0.85;
    else if (key === "-") place.radius /= 0.85;
    else return false;
    this.look(new Vector3().setFromSpherical(place.makeSafe()).add(this.controls.target), this.controls.target.clone());
    return true;
  }
}

function plain(color: Triple): MeshLambertMaterial {
  return new MeshLambertMaterial({ color: linear(color) });
}

/** Hatched, as nbf.render hatches what is guessed. */
function striped(color: Triple): MeshLambertMaterial {
  const material = plain(color);
  material.onBeforeCompile = (shader) => {
    shader.fragmentShader = shader.fragmentShader.replace(
      "#include <color_fragment>",
      `#include <color_fragment>
      if (mod(gl_FragCoord.x + gl_FragCoord.y, ${STRIPES}) < 0.5 * ${STRIPES}) diffuseColor.rgb = vec3(0.9, 0.92, 0.95);`,
    );
  };
  return material;
}

function linear(color: Triple): Color {
  return new Color().setRGB(...color);
}
