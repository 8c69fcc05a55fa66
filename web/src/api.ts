// The server, as docs/web.md describes it.
export interface Person {
  box: number[];
  score: number;
  joints: Record<string, { "2d": number[][]; "3d": number[][] }>;
  measurements: Record<string, { value: number; sigma: number | null }>;
  certainty: { joint_error_mm: Record<string, number | null>; parts: Record<string, { guessed: boolean }> };
  keypoints: number[][];
  window: { center: number[]; size: number };
}

export interface People {
  id: string;
  width: number;
  height: number;
  camera: { focal: number; center: number[]; lens: string | null };
  people: Person[];
}

export interface BodyModel {
  joints: Record<string, string[]>;
  parents: number[];
  parts: string[];
  colors: number[][];
  merged_parts: string[];
  vertices: number;
  faces: number;
  files: string[];
  files_of_one: string[];
}

export interface PersonToRefit {
  person?: number;
  box?: number[];
  joints?: Record<string, number[] | null>;
  paint?: number[][] | null;
  swap?: string[];
  height?: number;
  sex?: string;
  age?: number;
  weight?: number;
}

/** What the server, or the way to it, has against a request. */
export class ServerError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly retryAfter = 0,
  ) {
    super(message);
  }
}

const TOKEN = "nbf-token";

/** The token stands behind # in the address that was opened; nobody else is to see it there. */
export function takeToken(): void {
  if (location.hash.length < 2) return;
  setToken(decodeURIComponent(location.hash.slice(1)));
  history.replaceState(null, "", location.pathname);
}

export function setToken(token: string): void {
  sessionStorage.setItem(TOKEN, token);
}

function authorization(): Record<string, string> {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function asked(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: { ...authorization(), ...init.headers } });
  } catch {
    throw new ServerError("unreachable", "");
  }
  if (!response.ok) throw problem(await response.text(), response.headers.get("Retry-After"));
  return response;
}

function problem(body: string, retryAfter: string | null): ServerError {
  try {
    const { code, message } = JSON.parse(body).error;
    return new ServerError(code, message, Number(retryAfter ?? 0));
  } catch {
    return new ServerError("unreachable", "");
  }
}

/** Finds everybody in a photo; `progress` hears the share of it that was sent. */
export function find(photo: Blob, progress: (share: number) => void): Promise<People> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "v1/people");
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onerror = () => reject(new ServerError("unreachable", ""));
    request.onload = () =>
      request.status === 201
        ? resolve(JSON.parse(request.responseText))
        : reject(problem(request.responseText, request.getResponseHeader("Retry-After")));
    request.send(photo);
  });
}

export async function refit(id: string, people: PersonToRefit[], focal: string | null): Promise<People> {
  const body = JSON.stringify({ id, people, focal });
  const response = await asked("v1/refit", { method: "POST", body, headers: { "Content-Type": "application/json" } });
  return response.json();
}

export async function vertices(id: string): Promise<Float32Array> {
  return new Float32Array(await (await asked(`v1/people/${id}/vertices.bin`)).arrayBuffer());
}

export async function file(id: string, name: string, person?: number): Promise<Blob> {
  const query = person === undefined ? "" : `?person=${person}`;
  const path = name === "people.json" ? `v1/people/${id}` : `v1/people/${id}/${name}`;
  return (await asked(path + query)).blob();
}

export async function forget(id: string): Promise<void> {
  await asked(`v1/people/${id}`, { method: "DELETE" });
}

export async function waiting(): Promise<number> {
  return (await (await asked("healthz")).json()).waiting;
}

let body: Promise<[BodyModel, Uint16Array]> | undefined;

/** What all bodies have in common, and their faces: three vertices and a part each. */
export function bodyModel(): Promise<[BodyModel, Uint16Array]> {
  body ??= Promise.all([
    asked("v1/body").then((response) => response.json()),
    asked("v1/body/faces.bin").then(async (response) => new Uint16Array(await response.arrayBuffer())),
  ]);
  body.catch(() => (body = undefined));
  return body;
}
