// The page: photos come in, people are looked at and corrected, files go out.
import * as api from "./api";
import type { Bodies, Overlay, Space } from "./bodies";
import { camera } from "./camera";
import { button, dialog, element, labelled, select, slider, toggle } from "./dom";
import { panel } from "./panel";
import { type Correction, Session, UNTOUCHED } from "./session";
import { Stage, type Tool } from "./stage";
import { text } from "./strings";
import type { Units } from "./units";

const TOOLS: Tool[] = ["look", "joints", "brush", "add"];
const OPACITY = 0.75;
const POLL = 1000;

let sessions: Session[] = [];
let session: Session | undefined;
// 3D comes once it is needed: the first view does not wait for it.
let three: typeof import("./bodies");
let model: api.BodyModel;
let faces: Uint16Array;
let bodies: Bodies | undefined;
let units: Units = navigator.language === "en-US" ? "imperial" : "metric";
let retry: (() => void) | undefined;

const stage = new Stage({
  chose: (person) => choose(person),
  dragged: (joint, place) => correct((each) => (each.joints[joint] = place)),
  pickedJoint: (joint) => ((jointChoice.value = joint), (stage.joint = joint)),
  painted: (paint) => correct((each) => (each.paint = over(each.paint, paint))),
  boxed: (box) => run(() => session!.add(box), text.fitting),
});
const status = element("p", { class: "status", role: "status" });
const alarm = element("div", { role: "alert" });
const gallery = element("nav", { class: "gallery", "aria-label": text.gallery });
const main = element("main", { class: "empty" });
const files = element("input", { type: "file", accept: "image/*", hidden: true });
const undo = button(text.undo, () => step(-1));
const redo = button(text.redo, () => step(1));
const unitChoice = button("", () => setUnits(units === "metric" ? "imperial" : "metric"));

const toolButtons = TOOLS.map((tool) => button(text.tool[tool], () => setTool(tool), { "data-tool": tool }));
const hint = element("small", { class: "hint" });
const opacity = slider(0, 1, OPACITY, (value) => (stage.bodies.style.opacity = String(value)));
const mapToggle = toggle(text.partMap, false, () => void showMap());
const jointChoice = select([], (joint) => ((stage.joint = joint), stage.draw()));
const jointTools = element(
  "div",
  { class: "row" },
  labelled(text.joint, jointChoice),
  button(text.pin, () => correct((each) => (each.joints[stage.joint] = bodyJoint(stage.joint)))),
  button(text.hide, () => correct((each) => (each.joints[stage.joint] = null))),
  button(text.believe, () => correct((each) => delete each.joints[stage.joint])),
);
const partChoice = select([], (label) => (stage.label = Number(label)));
const brushSize = slider(2, 30, stage.radius, (value) => (stage.radius = value));
const brushTools = element(
  "div",
  { class: "row" },
  labelled(text.part, partChoice),
  labelled(text.brushSize, brushSize),
  element("span", {}, `${text.swap}:`),
  ...(["arms", "legs", "face"] as const).map((what) => button(text.swaps[what], () => correct((each) => swap(each, what)))),
);

const spaceCanvas = element("canvas", { tabindex: 0, role: "img", "aria-label": text.spaceLabel });
const spaceHost = element("div", { class: "space" }, spaceCanvas);
let overlay: Overlay | undefined;
let space: Space | undefined;
const wires = toggle(text.wireframe, false, (on) => [overlay, space].forEach((view) => view?.setWireframe(on)));
const bones = toggle(text.skeleton, false, (on) => space?.setSkeleton(on));
const floor = toggle(text.floor, true, (on) => space?.setFloor(on));

const photoSection = element(
  "section",
  { "aria-label": text.photo },
  element("div", { class: "row", role: "group", "aria-label": text.tools }, ...toolButtons, undo, redo),
  hint,
  jointTools,
  brushTools,
  stage.root,
  element("div", { class: "row" }, labelled(text.bodies, opacity), mapToggle),
);
const spaceSection = element(
  "section",
  { "aria-label": text.space },
  element(
    "div",
    { class: "row" },
    button(text.photoView, () => space?.asInPhoto()),
    button(text.allAround, () => space?.fromTheSide()),
    wires,
    bones,
    floor,
  ),
  spaceHost,
);

function begin(): void {
  document.body.append(
    element(
      "header",
      {},
      element("h1", {}, text.title),
      button(text.open, () => files.click(), { class: "first" }),
      button(text.camera, () => void camera(open, alert)),
      unitChoice,
      button(text.help, help),
      files,
    ),
    status,
    alarm,
    main,
    gallery,
  );
  main.append(
    element("section", { class: "drop" }, element("div", {}, element("h2", {}, text.drop), element("p", {}, text.claim))),
  );
  setUnits(units);
  setTool("look");
  files.addEventListener("change", () => {
    if (files.files?.[0]) open(files.files[0]);
    files.value = "";
  });
  document.addEventListener("paste", (event) => take(event.clipboardData));
  document.addEventListener("dragover", (event) => (event.preventDefault(), main.classList.add("over")));
  document.addEventListener("dragleave", () => main.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    main.classList.remove("over");
    take(event.dataTransfer);
  });
  document.addEventListener("keydown", shortcut);
}

function take(data: DataTransfer | null): void {
  const file = [...(data?.files ?? [])][0];
  if (file) open(file);
}

function open(photo: Blob): void {
  void run(async () => {
    const bar = element("progress", { max: 1, value: 0, "aria-label": text.uploading });
    status.replaceChildren(text.uploading, bar);
    const poll = setInterval(() => {
      if (bar.value < 1) return;
      void api.waiting().then((count) => (status.textContent = count > 1 ? text.waiting(count - 1) : text.working), () => {});
    }, POLL);
    try {
      [three, [model, faces], session] = await Promise.all([
        import("./bodies"),
        api.bodyModel(),
        Session.open(photo, (share) => (bar.value = share)),
      ]);
    } finally {
      clearInterval(poll);
    }
    sessions = [...sessions, session];
    stage.setPhoto(session.thumbnail);
    return text.done(session.now.people.people.length);
  }, text.uploading);
}

/** Does something that takes the server a while, says so, and shows what has come of it. */
async function run(work: () => Promise<string | void>, meanwhile: string): Promise<void> {
  const start = performance.now();
  status.textContent = meanwhile;
  main.setAttribute("aria-busy", "true");
  alarm.replaceChildren();
  try {
    status.textContent = (await work()) ?? text.fitted(Math.round(performance.now() - start));
  } catch (error) {
    status.textContent = "";
    complain(error, () => void run(work, meanwhile));
  }
  main.removeAttribute("aria-busy");
  show();
}

function complain(error: unknown, again: () => void): void {
  if (!(error instanceof api.ServerError)) throw error;
  if (error.code === "no_token") {
    askToken(again);
    return;
  }
  retry = again;
  if (error.code === "gone" && session) {
    const lost = session;
    retry = () => {
      sessions = sessions.filter((each) => each !== lost);
      open(lost.photo);
    };
  }
  const message = { gone: text.gone, unreachable: text.unreachable }[error.code] ?? error.message;
  alert(message, ["gone", "unreachable", "busy", "too_slow", "bug"].includes(error.code));
}

function alert(message: string, mayRetry = false): void {
  const again = mayRetry ? [button(text.retry, () => (alarm.replaceChildren(), retry?.()))] : [];
  const dismiss = button(text.close, () => alarm.replaceChildren());
  alarm.replaceChildren(element("div", { class: "alarm" }, element("p", {}, message), ...again, dismiss));
}

function askToken(again: () => void): void {
  const input = element("input", { type: "password", autocomplete: "off" });
  const asking = dialog(text.token, text.close, element("p", {}, text.tokenHint), labelled(text.token, input));
  const enter = button(text.enter, () => {
    api.setToken(input.value.trim());
    asking.close();
    again();
  });
  input.addEventListener("keydown", (event) => event.key === "Enter" && enter.click());
  asking.append(enter);
}

function correct(change: (correction: Correction) => void): void {
  if (session?.now.corrections.length) void run(() => session!.correct(change), text.fitting);
}

/** Shows the state of the session: all of it, as that is simplest. */
function show(): void {
  if (!session) return;
  if (main.classList.contains("empty")) firstShow();
  const { people, corrections, vertices } = session.now;
  const fresh = bodies?.people !== people;
  if (fresh) {
    bodies?.dispose();
    bodies = new three.Bodies(people, vertices, model, faces);
    for (const view of [overlay, space]) view?.show(bodies, session.chosen);
  } else for (const view of [overlay, space]) view?.choose(session.chosen);
  stage.show({ people, corrections, chosen: session.chosen, model });
  const old = main.querySelector("aside");
  const focused = old?.contains(document.activeElement) ? [...old.querySelectorAll("button, input, select")].indexOf(document.activeElement!) : -1;
  const made = panel(session, model, units, {
    choose,
    remove,
    know: (change) => correct((each) => change(each.facts)),
    focal: (focal) => void run(() => session!.setFocal(focal), text.fitting),
    download: (name, onlyChosen) => void download(name, onlyChosen),
  });
  old?.replaceWith(made);
  if (focused >= 0) made.querySelectorAll<HTMLElement>("button, input, select")[focused]?.focus();
  undo.disabled = !session.canUndo;
  redo.disabled = !session.canRedo;
  showGallery();
  void showMap();
}

function firstShow(): void {
  main.classList.remove("empty");
  main.replaceChildren(photoSection, spaceSection, element("aside"));
  jointChoice.replaceChildren(...model.joints.coco17.map((name) => element("option", { value: name }, text.name(name))));
  partChoice.replaceChildren(...model.parts.map((name, label) => element("option", { value: label }, text.name(name))));
  stage.joint = jointChoice.value;
  stage.bodies.style.opacity = String(OPACITY);
  try {
    overlay = new three.Overlay(stage.bodies);
    space = new three.Space(spaceCanvas);
  } catch {
    spaceHost.replaceChildren(element("p", {}, text.noWebGL));
  }
}

async function showMap(): Promise<void> {
  const on = mapToggle.getAttribute("aria-pressed") === "true" || stage.tool === "brush";
  if (!session || !on || !session.now.people.people.length) return stage.setMap(null);
  const wanted = session.now;
  try {
    const map = await session.partMap(session.chosen);
    if (session.now === wanted) await stage.setMap(map);
  } catch (error) {
    complain(error, () => void showMap());
  }
}

function showGallery(): void {
  gallery.replaceChildren(
    ...sessions.map((each, index) => {
      const image = element("img", { src: each.thumbnail, alt: "" });
      const photo = button("", () => change(index), { class: "photo", "aria-label": text.galleryPhoto(index + 1) });
      photo.append(image);
      if (each === session) photo.setAttribute("aria-current", "true");
      const forget = button("×", () => close(index), { class: "forget", "aria-label": text.forget(index + 1) });
      return element("div", {}, photo, forget);
    }),
  );
}

function change(index: number): void {
  session = sessions[index];
  stage.setPhoto(session.thumbnail);
  show();
}

function close(index: number): void {
  const [closed] = sessions.splice(index, 1);
  closed.close();
  if (closed !== session) return show();
  if (sessions.length) return change(Math.max(0, index - 1));
  location.reload();
}

function choose(person: number): void {
  if (!session) return;
  session.chosen = person;
  show();
}

function remove(): void {
  if (session?.now.corrections.length) void run(() => session!.remove(), text.fitting);
}

function step(by: -1 | 1): void {
  session?.move(by);
  show();
}

async function download(name: string, onlyChosen: boolean): Promise<void> {
  if (!session) return;
  try {
    const blob = await api.file(session.now.people.id, name, onlyChosen ? session.chosen : undefined);
    const link = element("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    URL.revokeObjectURL(link.href);
  } catch (error) {
    complain(error, () => void download(name, onlyChosen));
  }
}

function setTool(tool: Tool): void {
  stage.setTool(tool);
  for (const each of toolButtons) each.setAttribute("aria-pressed", String(each.dataset.tool === tool));
  hint.textContent = text.hint[tool];
  jointTools.hidden = tool !== "joints";
  brushTools.hidden = tool !== "brush";
  void showMap();
}

function setUnits(now: Units): void {
  units = now;
  unitChoice.textContent = text.units[units];
  show();
}

/** Where the chosen body has a joint. */
function bodyJoint(joint: string): [number, number] {
  const { people } = session!.now;
  const [x, y] = people.people[session!.chosen].joints.coco17["2d"][model.joints.coco17.indexOf(joint)];
  return [x, y];
}

/** Paint over earlier paint. */
function over(old: Uint8Array | null, added: Uint8Array): Uint8Array {
  return old ? added.map((label, index) => (label === UNTOUCHED ? old[index] : label)) : added;
}

/** Swapped twice is not swapped. */
function swap(correction: Correction, what: string): void {
  const { swap } = correction;
  correction.swap = swap.includes(what) ? swap.filter((each) => each !== what) : [...swap, what];
}

function help(): void {
  const rows = text.keys.map(([keys, what]) =>
    element("tr", {}, element("th", { scope: "row" }, element("kbd", {}, keys)), element("td", {}, what)),
  );
  dialog(text.shortcuts, text.close, element("table", {}, element("tbody", {}, ...rows)));
}

function shortcut(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (target.matches("input, select, dialog, dialog *") || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() === "z") step(event.shiftKey ? 1 : -1);
    else if (event.key.toLowerCase() === "y") step(1);
    else return;
    event.preventDefault();
    return;
  }
  const deeds: Record<string, () => void> = {
    o: () => files.click(),
    n: () => session?.now.corrections.length && choose((session.chosen + 1) % session.now.corrections.length),
    Delete: remove,
    "[": () => brush(-2),
    "]": () => brush(2),
    p: () => mapToggle.click(),
    w: () => wires.click(),
    s: () => bones.click(),
    f: () => floor.click(),
    v: () => space?.asInPhoto(),
    u: () => unitChoice.click(),
    d: () => void download("body.glb", false),
    "?": help,
  };
  TOOLS.forEach((tool, index) => (deeds[String(index + 1)] = () => setTool(tool)));
  deeds[event.key]?.();
}

function brush(by: number): void {
  brushSize.value = String(Number(brushSize.value) + by);
  stage.radius = Number(brushSize.value);
}

api.takeToken();
begin();
