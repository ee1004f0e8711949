import type { SimServer } from "./sim-server.ts";

/** What the drivers of this process that are on one bus have in common. */
interface LocalBus {
  users: number;
  server: SimServer | undefined;
}

/** By the path of the meeting place. */
const buses = new Map<string, LocalBus>();

/** A driver of this process comes to the bus at `path`. */
export function retain(path: string): void {
  const bus = buses.get(path) ?? { users: 0, server: undefined };
  bus.users++;
  buses.set(path, bus);
}

/**
 * This process serves the bus now, as long as any of its drivers is there: that the one who started the server leaves
 * is nothing that the others should notice.
 */
export async function keepServer(path: string, server: SimServer): Promise<void> {
  const bus = buses.get(path);
  // One that served before has lost the name, or the new one could not have it.
  const before = bus?.server;
  if (bus) bus.server = server;
  await (bus ? before : server)?.close();
}

/** A driver leaves; with the last one goes the server. */
export async function release(path: string): Promise<void> {
  const bus = buses.get(path);
  if (!bus || --bus.users > 0) return;
  buses.delete(path);
  await bus.server?.close();
}
