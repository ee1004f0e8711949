import { readFileSync } from "node:fs";

/** Version of the raw link's extended form (docs/wire-tcp.md 2). */
const WIRE_TCP_VERSION = 1;
/** `v` of batches and send requests (docs/wire-mqtt.md 2). */
const WIRE_MQTT_VERSION = 1;

/** Version of this package, from its own package.json. */
export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const version = typeof manifest === "object" && manifest !== null && "version" in manifest ? manifest.version : null;
  return typeof version === "string" ? version : "unknown";
}

/** What `--version` prints; with `json` also the versions of the wire formats, one object a line. */
export function versionText(json: boolean): string {
  const version = packageVersion();
  if (!json) return `canfleet ${version}\n`;
  const wire = { tcp: WIRE_TCP_VERSION, mqtt: WIRE_MQTT_VERSION };
  return `${JSON.stringify({ canfleet: version, wire, node: process.versions.node })}\n`;
}
