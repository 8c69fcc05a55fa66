// The photo, and what is drawn on it: boxes, the part map, joints; and what fingers and the mouse do there.
import type { BodyModel, People } from "./api";
import { element } from "./dom";
import { type Correction, UNTOUCHED, WINDOW } from "./session";
import { text } from "./strings";

export type Tool = "look" | "joints" | "brush" | "add";

/** What the stage shows. */
export interface Shown {
  people: People;
  corrections: Correction[];
  chosen: number;
  model: BodyModel;
}

/** What somebody has done there. */
export interface Deeds {
  chose(person: number): void;
  dragged(joint: string, place: [number, number]): void;
  pickedJoint(joint: string): void;
  painted(paint: Uint8Array): void;
  boxed(box: number[]): void;
}

/** CSS pixels within which a joint is meant. */
const REACH = 22;
const NUDGE = 3;
/** Milliseconds after the last arrow key. */
const PAUSE = 500;
const SMALLEST_BOX = 12;
const MAP_OPACITY = 0.6;

export class Stage {
  readonly root: HTMLElement;
  readonly bodies = element("canvas", { class: "bodies", "aria-hidden": "true" });
  tool: Tool = "look";
  /** Label that the brush paints, and its radius in pixels of the window. */
  label = 0;
  radius = 8;
  joint = "";
  private readonly image = element("img", { alt: text.photo });
  private readonly canvas = element("canvas", { tabindex: 0, role: "img", "aria-label": text.stageLabel });
  private readonly map = new OffscreenCanvas(WINDOW, WINDOW);
  private mapShown = false;
  private shown?: Shown;
  private stroke: Uint8Array | null = null;
  private last?: [number, number];
  private moving?: { joint: string; place: [number, number] };
  private box?: number[];
  private nudged?: number;

  constructor(private readonly deeds: Deeds) {
    this.root = element("div", { class: "stage" }, this.image, this.bodies, this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => this.down(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    this.canvas.addEventListener("pointerup", () => this.up());
    this.canvas.addEventListener("pointercancel", () => this.cancel());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.root);
  }

  setPhoto(url: string): void {
    this.image.src = url;
  }

  setTool(tool: Tool): void {
    this.tool = tool;
    this.root.classList.toggle("edits", tool !== "look");
    this.draw();
  }

  show(shown: Shown): void {
    this.shown = shown;
    this.stroke = null;
    this.draw();
  }

  /** The part map of the chosen person, in their window. */
  async setMap(blob: Blob | null): Promise<void> {
    this.mapShown = blob !== null;
    if (blob) {
      const bitmap = await createImageBitmap(blob);
      const context = this.map.getContext("2d", { willReadFrequently: true })!;
      context.clearRect(0, 0, WINDOW, WINDOW);
      context.drawImage(bitmap, 0, 0);
      const pixels = context.getImageData(0, 0, WINDOW, WINDOW);
      // Background is black, and no part is.
      for (let i = 0; i < pixels.data.length; i += 4)
        if (!(pixels.data[i] || pixels.data[i + 1] || pixels.data[i + 2])) pixels.data[i + 3] = 0;
      context.putImageData(pixels, 0, 0);
    }
    this.draw();
  }

  draw(): void {
    if (!this.shown) return;
    const { clientWidth, clientHeight } = this.root;
    const ratio = Math.min(devicePixelRatio, 2);
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    const context = this.canvas.getContext("2d")!;
    const scale = this.canvas.width / this.shown.people.width;
    context.scale(scale, scale);
    const line = ratio / scale;
    if (this.mapShown) this.drawMap(context);
    this.drawBoxes(context, line);
    if (this.tool === "joints") this.drawJoints(context, line);
  }

  private drawMap(context: CanvasRenderingContext2D): void {
    const window = this.window();
    if (!window) return;
    context.globalAlpha = MAP_OPACITY;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.map, window.left, window.top, window.size, window.size);
    context.globalAlpha = 1;
  }

  private drawBoxes(context: CanvasRenderingContext2D, line: number): void {
    this.shown!.people.people.forEach(({ box: [x0, y0, x1, y1] }, index) => {
      const chosen = index === this.shown!.chosen;
      outlined(context, chosen ? "#ffd166" : "#ffffff", (chosen ? 3 : 1.5) * line, () => context.strokeRect(x0, y0, x1 - x0, y1 - y0));
      context.font = `bold ${15 * line}px system-ui`;
      context.lineWidth = 4 * line;
      context.strokeStyle = "#000b";
      context.fillStyle = "#fff";
      context.strokeText(String(index + 1), x0 + 5 * line, y0 + 17 * line);
      context.fillText(String(index + 1), x0 + 5 * line, y0 + 17 * line);
    });
    if (this.box) {
      const [x0, y0, x1, y1] = this.box;
      outlined(context, "#ffd166", 2 * line, () => context.strokeRect(x0, y0, x1 - x0, y1 - y0));
    }
  }

  private drawJoints(context: CanvasRenderingContext2D, line: number): void {
    const corrections = this.shown!.corrections[this.shown!.chosen];
    if (!corrections) return;
    for (const [name, [x, y]] of this.joints()) {
      const told = corrections.joints[name];
      const radius = (name === this.joint ? 8 : 6) * line;
      context.beginPath();
      if (told) context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
      else context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fillStyle = told === null ? "#0000" : name.startsWith("left") ? "#4cc9f0" : name.startsWith("right") ? "#f9844a" : "#fff";
      context.fill();
      outlined(context, name === this.joint ? "#ffd166" : "#fff", 2 * line, () => context.stroke());
      if (told === null) {
        context.beginPath();
        context.moveTo(x - radius, y - radius);
        context.lineTo(x + radius, y + radius);
        outlined(context, "#fff", 2 * line, () => context.stroke());
      }
    }
  }

  /** Joints of the chosen body in the photo, those that are pinned or moved where somebody wants them. */
  private joints(): [string, [number, number]][] {
    const { people, corrections, chosen, model } = this.shown!;
    return model.joints.coco17.map((name, index) => {
      if (this.moving?.joint === name) return [name, this.moving.place];
      const [x, y] = corrections[chosen].joints[name] ?? people.people[chosen].joints.coco17["2d"][index];
      return [name, [x, y]];
    });
  }

  private window(): { left: number; top: number; size: number } | undefined {
    const window = this.shown!.people.people[this.shown!.chosen]?.window;
    if (!window) return undefined;
    return { left: window.center[0] - window.size / 2, top: window.center[1] - window.size / 2, size: window.size };
  }

  private place(event: PointerEvent): [number, number] {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.shown!.people.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  private down(event: PointerEvent): void {
    if (!this.shown || event.button !== 0) return;
    const place = this.place(event);
    if (this.tool !== "look") this.canvas.setPointerCapture(event.pointerId);
    if (this.tool === "look") this.choose(place);
    else if (this.tool === "add") this.box = [...place, ...place];
    else if (!this.shown.corrections.length) return;
    else if (this.tool === "brush") {
      this.stroke = new Uint8Array(WINDOW * WINDOW).fill(UNTOUCHED);
      this.stamp(place);
    } else this.grab(place);
    this.draw();
  }

  private move(event: PointerEvent): void {
    if (!this.shown) return;
    const place = this.place(event);
    if (this.stroke) this.stamp(place);
    else if (this.moving) this.moving.place = place;
    else if (this.box) this.box = [this.box[0], this.box[1], ...place];
    else return;
    this.draw();
  }

  private up(): void {
    if (this.stroke) this.deeds.painted(this.stroke);
    else if (this.moving) this.deeds.dragged(this.moving.joint, this.moving.place);
    else if (this.box) {
      const [x0, y0, x1, y1] = this.box;
      const box = [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
      if (box[2] - box[0] > SMALLEST_BOX && box[3] - box[1] > SMALLEST_BOX) this.deeds.boxed(box);
    }
    this.cancel();
  }

  private cancel(): void {
    this.stroke = null;
    this.last = undefined;
    this.moving = undefined;
    this.box = undefined;
    this.draw();
  }

  /** The smallest box there is meant: children stand in front of adults. */
  private choose([x, y]: [number, number]): void {
    const area = ([x0, y0, x1, y1]: number[]) => (x1 - x0) * (y1 - y0);
    const hits = this.shown!.people.people
      .map((person, index) => ({ index, box: person.box }))
      .filter(({ box: [x0, y0, x1, y1] }) => x >= x0 && x <= x1 && y >= y0 && y <= y1)
      .sort((a, b) => area(a.box) - area(b.box));
    if (hits.length) this.deeds.chose(hits[0].index);
  }

  private grab([x, y]: [number, number]): void {
    const reach = (REACH * this.shown!.people.width) / this.root.clientWidth;
    const near = this.joints()
      .map(([joint, place]) => ({ joint, away: Math.hypot(place[0] - x, place[1] - y) }))
      .sort((a, b) => a.away - b.away)[0];
    if (near.away > reach) return;
    this.deeds.pickedJoint(near.joint);
    this.moving = { joint: near.joint, place: [x, y] };
  }

  /** Paints from where the brush was to where it is. */
  private stamp([x, y]: [number, number]): void {
    const { left, top, size } = this.window()!;
    const to: [number, number] = [((x - left) / size) * WINDOW, ((y - top) / size) * WINDOW];
    const from = this.last ?? to;
    this.last = to;
    const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / 2));
    const context = this.map.getContext("2d")!;
    const [red, green, blue] = this.shown!.model.colors[this.label];
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    for (let step = 0; step <= steps; step++) {
      const cx = from[0] + ((to[0] - from[0]) * step) / steps;
      const cy = from[1] + ((to[1] - from[1]) * step) / steps;
      for (let row = Math.max(0, Math.ceil(cy - this.radius)); row < Math.min(WINDOW, cy + this.radius); row++) {
        const half = Math.sqrt(Math.max(0, this.radius ** 2 - (row + 0.5 - cy) ** 2));
        const first = Math.max(0, Math.round(cx - half));
        const end = Math.min(WINDOW, Math.round(cx + half));
        if (first >= end) continue;
        this.stroke!.fill(this.label, row * WINDOW + first, row * WINDOW + end);
        if (this.label) context.fillRect(first, row, end - first, 1);
        else context.clearRect(first, row, end - first, 1);
      }
    }
  }

  /** Arrow keys move the chosen joint; the body follows once they rest. */
  private key(event: KeyboardEvent): void {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by || this.tool !== "joints" || !this.joint || !this.shown?.corrections.length) return;
    event.preventDefault();
    const step = (NUDGE * this.shown.people.width) / this.root.clientWidth;
    const [x, y] = this.joints().find(([name]) => name === this.joint)![1];
    this.moving = { joint: this.joint, place: [x + by[0] * step, y + by[1] * step] };
    clearTimeout(this.nudged);
    this.nudged = window.setTimeout(() => this.up(), PAUSE);
    this.draw();
  }
}

/** A line that shows on any photo. */
function outlined(context: CanvasRenderingContext2D, color: string, width: number, stroke: () => void): void {
  context.lineWidth = width * 2;
  context.strokeStyle = "#0009";
  stroke();
  context.lineWidth = width;
  context.strokeStyle = color;
  stroke();
}
