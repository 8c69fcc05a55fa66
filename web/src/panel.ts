// Beside the photo: who was found, what is known of them, what they measure, and files to take away.
import type { BodyModel, Person } from "./api";
import { button, element, labelled, select } from "./dom";
import type { Correction, Session } from "./session";
import { text } from "./strings";
import {
  type Units, fromKilograms, fromMetres, lengthUnit, massUnit, measured, toKilograms, toMetres,
} from "./units";

/** What somebody asks for here. */
export interface Wishes {
  choose(person: number): void;
  remove(): void;
  know(change: (facts: Correction["facts"]) => void): void;
  focal(focal: string | null): void;
  download(name: string, onlyChosen: boolean): void;
}

const PICTURES = ["overlay.png", "summary.png", "parts.png"];

export function panel(session: Session, model: BodyModel, units: Units, wishes: Wishes): HTMLElement {
  const { people, corrections, focal } = session.now;
  const person = people.people[session.chosen];
  return element(
    "aside",
    { "aria-label": text.people },
    peopleList(session, wishes),
    ...(person
      ? [measurements(person, units), facts(corrections[session.chosen].facts, focal, people.camera.lens, units, wishes)]
      : []),
    ...(person ? [downloads(model, wishes)] : []),
  );
}

function peopleList(session: Session, wishes: Wishes): HTMLElement {
  const { people } = session.now;
  const rows = people.people.map((person, index) => {
    const chosen = index === session.chosen;
    const choose = button(text.person(index + 1), () => wishes.choose(index), { "aria-pressed": String(chosen) });
    return element("div", { class: "row" }, choose, element("span", { class: "faint" }, text.sure(person.score)));
  });
  const remove = button(text.remove, () => wishes.remove());
  return element(
    "section",
    { class: "people" },
    element("h2", {}, text.people),
    ...(rows.length ? [...rows, remove] : [element("p", {}, text.nobody)]),
  );
}

function measurements(person: Person, units: Units): HTMLElement {
  const rows = Object.entries(person.measurements).map(([name, { value, sigma }]) =>
    element(
      "tr",
      { "data-name": name },
      element("th", { scope: "row" }, text.measured[name] ?? text.name(name)),
      element("td", {}, measured(name, value, units)),
      element("td", {}, sigma === null ? "" : `± ${measured(name, sigma, units)}`),
    ),
  );
  const head = [text.measure, text.value, text.spread].map((label) => element("th", { scope: "col" }, label));
  const guessed = Object.values(person.certainty.parts).some((part) => part.guessed);
  return element(
    "section",
    {},
    element("h2", {}, text.measurements),
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
    ...(guessed ? [element("p", { class: "faint" }, text.guesses)] : []),
  );
}

function facts(known: Correction["facts"], focal: string | null, lens: string | null, units: Units, wishes: Wishes): HTMLElement {
  const number = (label: string, step: number, value: number | undefined, changed: (value: number | undefined) => void) => {
    const input = element("input", { type: "number", min: 0, step, inputmode: "decimal" });
    if (value !== undefined) input.value = String(Number(value.toFixed(2)));
    input.addEventListener("change", () => changed(input.value === "" ? undefined : input.valueAsNumber));
    return labelled(label, input);
  };
  const converted = (value: number | undefined, convert: (value: number, units: Units) => number) =>
    value === undefined ? undefined : convert(value, units);
  const sex = select(Object.entries(text.sexes), (value) => wishes.know((all) => (all.sex = value || undefined)));
  sex.value = known.sex ?? "";
  const millimetres = focal?.endsWith("mm") ? Number.parseFloat(focal) : undefined;
  return element(
    "section",
    { class: "facts" },
    element("h2", {}, text.known),
    number(text.facts.height(lengthUnit(units)), units === "metric" ? 0.01 : 0.5, converted(known.height, fromMetres), (value) =>
      wishes.know((all) => (all.height = converted(value, toMetres))),
    ),
    labelled(text.facts.sex, sex),
    number(text.facts.age, 1, known.age, (value) => wishes.know((all) => (all.age = value))),
    number(text.facts.weight(massUnit(units)), 1, converted(known.weight, fromKilograms), (value) =>
      wishes.know((all) => (all.weight = converted(value, toKilograms))),
    ),
    number(text.facts.focal, 1, millimetres, (value) => wishes.focal(value === undefined ? null : `${value}mm`)),
    ...(lens ? [element("small", {}, text.lens[lens] ?? lens)] : []),
  );
}

function downloads(model: BodyModel, wishes: Wishes): HTMLElement {
  const who = element("input", { type: "checkbox" });
  const bodies = model.files.map((suffix) => 
    button(suffix.toUpperCase(), () => wishes.download(`body.${suffix}`, who.checked || model.files_of_one.includes(suffix))),
  );
  const others = ["people.json", ...PICTURES].map((name) => button(name, () => wishes.download(name, false)));
  return element(
    "section",
    {},
    element("h2", {}, text.download),
    element("div", { class: "row" }, ...bodies),
    element("label", {}, who, text.onlyChosen),
    element("div", { class: "row" }, ...others),
  );
}
