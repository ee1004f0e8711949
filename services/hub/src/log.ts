/** How much a line matters: "error" something does not work, "warn" somebody should look, "debug" for finding faults. */
export type LogLevel = "error" | "warn" | "info" | "debug";

/** What programs that read a log look for in a line; no secrets. Names: docs/operations.md, 5. */
export interface LogFields {
  readonly [name: string]: string | number | boolean;
}

/** Takes one line of what the hub does. Texts that came from strangers are in it as JSON strings. */
export type HubLog = (level: LogLevel, text: string, fields?: LogFields) => void;
