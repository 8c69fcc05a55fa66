// One photo: what was found in it, what was corrected since, and the way back.
import * as api from "./api";

export const WINDOW = 256;
export const UNTOUCHED = 255;

/** What somebody corrected of one person, and knows of them; always in terms of what was first seen. */
export interface Correction {
  /** Place in the base result. */
  person: number;
  joints: Record<string, [number, number] | null>;
  paint: Uint8Array | null;
  swap: string[];
  facts: { height?: number; sex?: string; age?: number; weight?: number };
}

/** A state that one can go back to. */
export interface Step {
  /** The result that corrections are of. */
  base: string;
  corrections: Correction[];
  focal: string | null;
  people: api.People;
  vertices: Float32Array;
  /** Part map of each person in their window, as soon as it was asked for. */
  maps: Map<number, Promise<Blob>>;
}

const fresh = (person: number): Correction => ({ person, joints: {}, paint: null, swap: [], facts: {} });

export class Session {
  private steps: Step[] = [];
  private at = 0;
  private line: Promise<unknown> = Promise.resolve();
  chosen = 0;
  thumbnail = "";

  private constructor(readonly photo: Blob) {}

  static async open(photo: Blob, progress: (share: number) => void): Promise<Session> {
    const session = new Session(photo);
    const people = await api.find(photo, progress);
    const corrections = people.people.map((_, person) => fresh(person));
    session.steps = [await made(people, people.id, corrections, null)];
    session.thumbnail = URL.createObjectURL(await api.file(people.id, "photo.jpg"));
    return session;
  }

  get now(): Step {
    return this.steps[this.at];
  }

  get canUndo(): boolean {
    return this.at > 0;
  }

  get canRedo(): boolean {
    return this.at < this.steps.length - 1;
  }

  move(by: -1 | 1): void {
    this.at = Math.min(Math.max(this.at + by, 0), this.steps.length - 1);
    this.chosen = Math.min(this.chosen, Math.max(0, this.now.corrections.length - 1));
  }

  /** Changes the correction of the chosen person, and fits anew. */
  correct(change: (correction: Correction) => void): Promise<void> {
    const chosen = this.chosen;
    return this.inLine(async () => {
      const { base, corrections, focal } = this.now;
      const changed = corrections.map((each) => ({ ...each, joints: { ...each.joints }, facts: { ...each.facts } }));
      change(changed[chosen]);
      await this.refit(base, changed, focal);
    });
  }

  setFocal(focal: string | null): Promise<void> {
    return this.inLine(() => this.refit(this.now.base, this.now.corrections, focal));
  }

  remove(): Promise<void> {
    const chosen = this.chosen;
    return this.inLine(async () => {
      const { base, corrections, focal } = this.now;
      await this.refit(base, corrections.filter((_, index) => index !== chosen), focal);
      this.chosen = Math.max(0, Math.min(chosen, this.now.corrections.length - 1));
    });
  }

  /** Adds somebody who was missed. What was seen of all then is of the new result, corrections of the map included. */
  add(box: number[]): Promise<void> {
    return this.inLine(async () => {
      const { base, corrections, focal } = this.now;
      const people = await api.refit(base, [...corrections.map(told), { box }], focal);
      const kept = corrections.map((each, person) => ({ ...each, person, paint: null, swap: [] }));
      this.push(await made(people, people.id, [...kept, fresh(kept.length)], focal));
      this.chosen = kept.length;
    });
  }

  /** The part map of a person of this step, in their window. */
  partMap(person: number): Promise<Blob> {
    const { maps, people } = this.now;
    if (!maps.has(person)) maps.set(person, api.file(people.id, "window.png", person));
    return maps.get(person)!;
  }

  close(): void {
    URL.revokeObjectURL(this.thumbnail);
    for (const id of new Set(this.steps.map((step) => step.people.id))) void api.forget(id).catch(() => {});
  }

  private async refit(base: string, corrections: Correction[], focal: string | null): Promise<void> {
    this.push(await made(await api.refit(base, corrections.map(told), focal), base, corrections, focal));
  }

  private push(step: Step): void {
    this.steps = [...this.steps.slice(0, this.at + 1), step];
    this.at = this.steps.length - 1;
  }

  /** One after the other: each change starts from what the one before has led to. */
  private inLine(work: () => Promise<void>): Promise<void> {
    const done = this.line.then(work);
    this.line = done.catch(() => {});
    return done;
  }
}

async function made(people: api.People, base: string, corrections: Correction[], focal: string | null): Promise<Step> {
  const vertices = people.people.length ? await api.vertices(people.id) : new Float32Array();
  return { base, corrections, focal, people, vertices, maps: new Map() };
}

function told(correction: Correction): api.PersonToRefit {
  const { person, joints, paint, swap, facts } = correction;
  return { person, joints, swap, paint: paint && runs(paint), ...facts };
}

/** Runs of label and count. */
function runs(paint: Uint8Array): number[][] {
  const found: number[][] = [];
  for (const label of paint) {
    const last = found.at(-1);
    if (last && last[0] === label) last[1]++;
    else found.push([label, 1]);
  }
  return found;
}
