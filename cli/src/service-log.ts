import { redactUrls } from "@canfleet/sdk";
import type { Terminal } from "./terminal.ts";

/** Forms of a service's log. */
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];
export type LogLevel = "error" | "warn" | "info" | "debug";

/** What programs look for in a line; no secrets. */
export interface LogFields {
  readonly [name: string]: string | number | boolean;
}

/** One line of a log: one JSON object, with its end of line. Passwords in addresses are left out, wherever they are. */
export function jsonLogLine(level: LogLevel, message: string, fields: LogFields, nowMs: number): string {
  const shown: { [name: string]: string | number | boolean } = {};
  for (const [name, value] of Object.entries(fields)) {
    shown[name] = typeof value === "string" ? redactUrls(value) : value;
  }
  // What a line always has comes first, and is never overwritten.
  const line = { time: "", level, message: "", ...shown };
  return `${JSON.stringify({ ...line, time: new Date(nowMs).toISOString(), level, message: redactUrls(message) })}\n`;
}

/** Who writes the log, and how: what the flag says, else the environment, else the configuration. */
export interface LogChoice {
  readonly service: "hub" | "edge";
  readonly flag: LogFormat | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Makes the log JSON as soon as it is known to be wanted, so that what is wrong with the configuration is JSON as well.
 *
 * @param configured format that the configuration has; undefined while it is not read yet
 */
export function chooseLogFormat(terminal: Terminal, choice: LogChoice, configured?: LogFormat): LogFormat {
  const { service, flag, env } = choice;
  const format = flag ?? configured ?? (env.CANFLEET_LOG_FORMAT === "json" ? "json" : "text");
  if (format === "json") terminal.logAsJson({ service });
  return format;
}
