import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, relative, resolve } from "node:path";
import { CanfleetError, messageOf } from "@canfleet/sdk";
import { environmentSource } from "./environment.ts";
import { readSettings, type Settings, type TlsSettings } from "./schema.ts";
import type { Problem, SourceNode } from "./source-node.ts";

export interface LoadOptions {
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  /** Read this file instead of the usual ones; it must exist. */
  file?: string | undefined;
  /** The machine's own file. Default: /etc/canfleet/config.yaml. */
  machineFile?: string;
}

/** Settings, all sections there, each setting as far as some source has it. */
export type LoadedSettings = Required<Settings>;

/**
 * Settings of the environment and the configuration files. What is set higher up wins, setting by setting (lists as
 * a whole): environment, ./canfleet.yaml, $XDG_CONFIG_HOME/canfleet/config.yaml, /etc/canfleet/config.yaml.
 *
 * @throws CanfleetError `CONFIG_INVALID` with every mistake of every source
 */
export async function loadSettings(options: LoadOptions): Promise<LoadedSettings> {
  const problems: Problem[] = [];
  const sources: SourceNode[] = [environmentSource(options.env)];
  for (const path of configFiles(options)) {
    const root = await readSource(path, options, problems);
    if (root) sources.push(root);
  }
  const layers = sources.map((source) => readSettings(source, "", problems) ?? {});
  if (problems.length > 0) throw invalidSettings(problems);
  return merge(layers);
}

function configFiles({ env, cwd, file, machineFile }: LoadOptions): string[] {
  if (file !== undefined) return [resolve(cwd, file)];
  const userFolder = env.XDG_CONFIG_HOME ?? "";
  return [
    join(cwd, "canfleet.yaml"),
    join(userFolder === "" ? join(env.HOME ?? homedir(), ".config") : userFolder, "canfleet", "config.yaml"),
    machineFile ?? "/etc/canfleet/config.yaml",
  ];
}

async function readSource(path: string, options: LoadOptions, problems: Problem[]): Promise<SourceNode | undefined> {
  let contents: string;
  try {
    contents = await readFile(path, "utf8");
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (!absent || options.file !== undefined) {
      problems.push({ where: path, key: "", wanted: `a readable file (${messageOf(error)})` });
    }
    return undefined;
  }
  // Loaded only when there is a file: most command lines have none.
  const { readYaml } = await import("./yaml-source.ts");
  const result = readYaml(contents, shortName(path, options.cwd));
  if ("root" in result) return result.root;
  problems.push(...result.problems);
  return undefined;
}

function shortName(path: string, cwd: string): string {
  const fromHere = relative(cwd, path);
  return fromHere.startsWith("..") ? path : fromHere;
}

function merge(layers: readonly Settings[]): LoadedSettings {
  return layers.reduce<LoadedSettings>(
    (above, below) => ({
      hub: { ...below.hub, ...above.hub },
      edge: { ...below.edge, ...above.edge, ...mergedTls(below.edge?.tls, above.edge.tls) },
      client: { ...below.client, ...above.client, ...mergedTls(below.client?.tls, above.client.tls) },
    }),
    { hub: {}, edge: {}, client: {} },
  );
}

function mergedTls<T extends TlsSettings>(below: T | undefined, above: T | undefined): { tls?: T } {
  return below === undefined && above === undefined ? {} : { tls: { ...below, ...above } as T };
}

/** The error that lists what is wrong, a line each. */
export function invalidSettings(problems: readonly Problem[]): CanfleetError {
  const lines = problems.map(({ where, key, value, wanted }) => {
    const what = [key, value].filter((part) => part !== undefined && part !== "").join(" = ");
    const expected = wanted.startsWith("did you mean") ? `unknown setting; ${wanted}` : `expected ${wanted}`;
    return `  ${where}: ${what === "" ? "" : `${what}: `}${expected}`;
  });
  const count = problems.length === 1 ? "a mistake" : `${problems.length} mistakes`;
  return new CanfleetError("CONFIG_INVALID", `the configuration has ${count}:\n${lines.join("\n")}`);
}
