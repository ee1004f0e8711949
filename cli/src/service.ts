import type { Context } from "./context.ts";
import { EXIT_DONE } from "./exit-codes.ts";
import { HealthFile } from "./health-file.ts";
import { unlessStopped } from "./open-bus.ts";
import { ServiceManager } from "./service-manager.ts";

export interface Service {
  /** Resolves when there is nothing more to do; most services never do. */
  ended?: Promise<void>;
  /** Flushes and ends. */
  close(): Promise<void>;
  /** What of its own work stands still, for a watchdog; undefined when nothing does. Default: nothing ever does. */
  standstill?(): Promise<string | undefined> | string | undefined;
}

/**
 * Runs something that has no end of its own until a signal asks for it, then closes it. While it runs, the file that
 * `CANFLEET_HEALTH_FILE` names is kept young, and a service manager that started it is told (docs/systemd.md).
 *
 * @returns exit code 0: being told to end is how a service ends well
 */
export async function serve(start: () => Promise<Service>, context: Context): Promise<number> {
  const { env, terminal } = context;
  const { signal } = context.interruption;
  const service = await unlessStopped(start(), signal);
  if (!service) return EXIT_DONE;
  const health = healthFile(context);
  const manager = await ServiceManager.find(env, (text) => terminal.say(text));
  manager?.ready(async () => service.standstill?.());
  await unlessStopped(service.ended ?? new Promise<void>(() => undefined), signal);
  await manager?.stopping();
  await service.close();
  await health?.close();
  return EXIT_DONE;
}

function healthFile({ env, terminal }: Context): HealthFile | undefined {
  const path = env.CANFLEET_HEALTH_FILE ?? "";
  return path === "" ? undefined : new HealthFile(path, { warn: (text) => terminal.say(text) });
}
