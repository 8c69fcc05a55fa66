// Elements of the page, made without HTML in strings.
type Attributes = Record<string, string | number | boolean | ((event: Event) => void)>;

/** An element; attributes that are functions listen to the event of that name. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (typeof value === "boolean") made.toggleAttribute(name, value);
    else made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

export function button(label: string, click: () => void, attributes: Attributes = {}): HTMLButtonElement {
  return element("button", { type: "button", click, ...attributes }, label);
}

/** A button that is on or off. */
export function toggle(label: string, on: boolean, changed: (on: boolean) => void): HTMLButtonElement {
  const made = button(label, () => {
    const now = made.getAttribute("aria-pressed") !== "true";
    made.setAttribute("aria-pressed", String(now));
    changed(now);
  });
  made.setAttribute("aria-pressed", String(on));
  return made;
}

export function labelled(label: string, control: HTMLElement): HTMLLabelElement {
  return element("label", {}, element("span", {}, label), control);
}

export function select(options: [string, string][], changed: (value: string) => void): HTMLSelectElement {
  const made = element("select", { change: () => changed(made.value) });
  for (const [value, label] of options) made.append(element("option", { value }, label));
  return made;
}

export function slider(low: number, high: number, value: number, changed: (value: number) => void): HTMLInputElement {
  const made = element("input", {
    type: "range", min: low, max: high, step: "any", value, input: () => changed(Number(made.value)),
  });
  return made;
}

/** A dialog in front of the page until it is closed; the button that closes it comes last. */
export function dialog(title: string, close: string, ...children: (Node | string)[]): HTMLDialogElement {
  const heading = element("h2", { id: "dialog-title" }, title);
  const made = element("dialog", { "aria-labelledby": "dialog-title", close: () => made.remove() }, heading, ...children);
  made.append(button(close, () => made.close()));
  document.body.append(made);
  made.showModal();
  return made;
}
