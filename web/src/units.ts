// Numbers for people: metres and kilograms, or feet and pounds.
export type Units = "metric" | "imperial";

const INCH = 0.0254;
const POUND = 0.45359237;

/** A measurement of the server's: its name ends in _m or _kg. */
export function measured(name: string, value: number, units: Units): string {
  if (name.endsWith("_kg")) return units === "metric" ? `${value.toFixed(0)} kg` : `${(value / POUND).toFixed(0)} lb`;
  if (units === "metric") return `${value.toFixed(2)} m`;
  const inches = value / INCH;
  if (inches < 48) return `${inches.toFixed(1)} in`;
  return `${Math.floor(Math.round(inches) / 12)} ft ${Math.round(inches) % 12} in`;
}

/** Of an entry: metres or inches, kilograms or pounds. */
export const lengthUnit = (units: Units): string => (units === "metric" ? "m" : "in");
export const massUnit = (units: Units): string => (units === "metric" ? "kg" : "lb");
export const toMetres = (value: number, units: Units): number => (units === "metric" ? value : value * INCH);
export const fromMetres = (value: number, units: Units): number => (units === "metric" ? value : value / INCH);
export const toKilograms = (value: number, units: Units): number => (units === "metric" ? value : value * POUND);
export const fromKilograms = (value: number, units: Units): number => (units === "metric" ? value : value / POUND);
