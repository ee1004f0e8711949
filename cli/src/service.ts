import { EXIT_DONE } from "./exit-codes.ts";
import type { Interruption } from "./interruption.ts";
import { unlessStopped } from "./open-bus.ts";

export interface Service {
  /** Resolves when there is nothing more to do; most services never do. */
  ended?: Promise<void>;
  /** Flushes and ends. */
  close(): Promise<void>;
}

/**
 * Runs something that has no end of its own until a signal asks for it, then closes it.
 *
 * @returns exit code 0: being told to end is how a service ends well
 */
export async function serve(start: () => Promise<Service>, { signal }: Interruption): Promise<number> {
  const service = await unlessStopped(start(), signal);
  if (!service) return EXIT_DONE;
  await unlessStopped(service.ended ?? new Promise<void>(() => undefined), signal);
  await service.close();
  return EXIT_DONE;
}
