import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { isCanfleetError, messageOf } from "@canfleet/sdk";

/** Watchdog messages in the time after which one has to be there: one that is late does not matter. */
const MESSAGES_PER_TIMEOUT = 3;
/** Shortest period of watchdog messages, ms. */
const MIN_PERIOD_MS = 100;

type Environment = Readonly<Record<string, string | undefined>>;
/** Resolves when it was told, or could not be. */
type Send = (text: string) => Promise<void>;

/**
 * A service manager, systemd for example, that wants to know how this process is (sd_notify(3)).
 *
 *     READY=1 ─► WATCHDOG=1, three times in its time, only while the work goes on ─► STOPPING=1
 */
export class ServiceManager {
  readonly #send: Send;
  readonly #say: (text: string) => void;
  readonly #timeoutMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;
  #told = "";

  private constructor(send: Send, timeoutMs: number | undefined, say: (text: string) => void) {
    this.#send = send;
    this.#timeoutMs = timeoutMs;
    this.#say = say;
  }

  /** The manager that `NOTIFY_SOCKET` names; undefined without one. @param say tells people what does not work */
  static async find(env: Environment, say: (text: string) => void): Promise<ServiceManager | undefined> {
    const socket = env.NOTIFY_SOCKET;
    if (socket === undefined || socket === "") return undefined;
    return new ServiceManager(await senderTo(socket, say), watchdogMs(env), say);
  }

  /**
   * The service works. From now on the watchdog is told that it still does.
   *
   * @param standstill says what stands still, if anything; one that never answers counts as such
   */
  ready(standstill: () => Promise<string | undefined>): void {
    void this.#send("READY=1\nSTATUS=works");
    if (this.#timeoutMs === undefined) return;
    const periodMs = Math.max(MIN_PERIOD_MS, this.#timeoutMs / MESSAGES_PER_TIMEOUT);
    const look = (): void => void this.#look(standstill);
    look();
    this.#timer = setInterval(look, periodMs);
  }

  /** The service is about to end; resolves when that was told. */
  async stopping(): Promise<void> {
    clearInterval(this.#timer);
    await this.#send("STOPPING=1\nSTATUS=ends");
  }

  async #look(standstill: () => Promise<string | undefined>): Promise<void> {
    if (this.#isAsking) {
      this.#tell("stands still: no answer to the watchdog's question");
      return;
    }
    this.#isAsking = true;
    const what = await standstill().catch((error: unknown) => String(error));
    this.#tell(what === undefined ? "works" : `stands still: ${what}`);
    if (what === undefined) await this.#send("WATCHDOG=1");
    this.#isAsking = false;
  }

  #tell(state: string): void {
    if (state === this.#told) return;
    if (this.#told !== "" || state !== "works") {
      this.#say(state === "works" ? "works again" : state);
      void this.#send(`STATUS=${state.replaceAll("\n", " ").slice(0, 200)}`);
    }
    this.#told = state;
  }
}

/** Time after which the manager ends a process that says nothing, ms; undefined: never, or it means another process. */
function watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: Environment): number | undefined {
  const us = Number(WATCHDOG_USEC);
  const isOurs = WATCHDOG_PID === undefined || WATCHDOG_PID === "" || Number(WATCHDOG_PID) === process.pid;
  return isOurs && us > 0 && Number.isFinite(us) ? us / 1_000 : undefined;
}

/** By the native addon; where that was not built, by the program `systemd-notify`, which systemd brings. */
async function senderTo(socket: string, say: (text: string) => void): Promise<Send> {
  const { sendDatagram } = await import("@canfleet/edge/notify");
  let failed = "";
  const tellFailure = (reason: string): void => {
    if (reason !== "" && reason !== failed) say(`cannot tell the service manager how this is: ${reason}`);
    failed = reason;
  };
  const run = promisify(execFile);
  // One after the other: the manager wants READY=1 first.
  let last = Promise.resolve();
  const byProgram = (text: string): Promise<void> => {
    const env = { ...process.env, NOTIFY_SOCKET: socket };
    last = last.then(() =>
      run("systemd-notify", text.split("\n"), { env }).then(
        () => tellFailure(""),
        (error: unknown) => tellFailure(messageOf(error)),
      ),
    );
    return last;
  };
  let isNative = true;
  return (text) => {
    if (isNative) {
      try {
        tellFailure(sendDatagram(socket, text));
        return Promise.resolve();
      } catch (error) {
        if (!isCanfleetError(error, "CAN_NO_DRIVER")) throw error;
        isNative = false;
      }
    }
    return byProgram(text);
  };
}
