import { randomBytes } from "node:crypto";
import { link, lstat, mkdir, rename, unlink } from "node:fs/promises";
import { connect, type Server, type Socket } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { CanfleetError } from "@canfleet/sdk";

/** `sun_path` of the smallest system (macOS, 104 bytes) with its final zero. */
const MAX_SOCKET_PATH_BYTES = 103;

/** Where the simulated buses of this user meet, one UNIX socket each. */
export function defaultFolder(): string {
  return join(tmpdir(), `canfleet-sim-${userInfo().uid}`);
}

/**
 * The name under which the processes of one user find a simulated bus: a UNIX socket in a folder that only this
 * user may enter. A server listens on a socket of its own making and then claims the name with a hard link, which
 * fails where somebody has it: of many that try, one wins.
 */
export class MeetingPlace {
  readonly path: string;

  /** @throws CanfleetError `CAN_OPEN_FAILED` when the path is too long for a socket */
  constructor(folder: string, name: string) {
    this.path = join(folder, `${name}.sock`);
    if (Buffer.byteLength(uniquePath(this.path)) > MAX_SOCKET_PATH_BYTES) {
      throw new CanfleetError("CAN_OPEN_FAILED", `${this.path} is too long for a UNIX socket; use a shorter TMPDIR`);
    }
    this.#folder = folder;
  }

  readonly #folder: string;

  /**
   * Makes the folder, or checks the one that is there.
   *
   * @throws CanfleetError `CAN_OPEN_FAILED` when it is not this user's alone
   */
  async prepare(): Promise<void> {
    try {
      await mkdir(this.#folder, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw openFailed(`cannot make ${this.#folder}`, error);
    }
    const { uid, mode } = await lstat(this.#folder);
    // lstat: a link that somebody else put here is not a folder of ours.
    const isFolder = (mode & 0o170000) === 0o040000;
    if (!isFolder || uid !== userInfo().uid || (mode & 0o077) !== 0) {
      throw openFailed(`${this.#folder} must be a folder that only this user may enter (mode 700)`);
    }
  }

  /** Who has the name now; undefined when nobody. */
  async holder(): Promise<string | undefined> {
    return await identityOf(this.path);
  }

  /** Connects to the one who has the name; undefined when nobody listens there. */
  async connect(): Promise<Socket | undefined> {
    return await new Promise((resolve, reject) => {
      const socket = connect(this.path);
      socket.once("connect", () => {
        socket.off("error", failed);
        resolve(socket);
      });
      const failed = (error: unknown): void => {
        const code = codeOf(error);
        if (code === "ECONNREFUSED" || code === "ENOENT") resolve(undefined);
        else reject(openFailed(`cannot connect to ${this.path}`, error));
      };
      socket.once("error", failed);
    });
  }

  /**
   * Makes a server listen and gives it the name.
   *
   * @param dead the holder that was seen not to listen; it is removed
   * @returns the server's identity; undefined when another was faster
   */
  async claim(server: Server, dead: string | undefined): Promise<string | undefined> {
    const own = uniquePath(this.path);
    await listen(server, own);
    try {
      const identity = await identityOf(own);
      if (dead !== undefined && !(await this.#remove(dead))) return undefined;
      await link(own, this.path);
      return identity;
    } catch (error) {
      if (codeOf(error) === "EEXIST" || codeOf(error) === "ENOENT") return undefined;
      throw openFailed(`cannot serve ${this.path}`, error);
    } finally {
      await unlinkIfThere(own);
    }
  }

  /** Gives the name back, if this holder still has it. */
  async release(identity: string): Promise<void> {
    if ((await identityOf(this.path)) === identity) await unlinkIfThere(this.path);
  }

  /** Takes a dead holder away; one who came in its stead meanwhile gets the name back. */
  async #remove(dead: string): Promise<boolean> {
    const aside = uniquePath(this.path);
    await rename(this.path, aside);
    const isDead = (await identityOf(aside)) === dead;
    try {
      if (!isDead) await link(aside, this.path);
    } finally {
      await unlinkIfThere(aside);
    }
    return isDead;
  }
}

/** Inode numbers are used again at once by some file systems; together with the time they are not. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { ino, mtimeNs } = await lstat(path, { bigint: true });
    return `${ino}-${mtimeNs}`;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw openFailed(`cannot look at ${path}`, error);
  }
}

function uniquePath(path: string): string {
  return `${path.slice(0, -".sock".length)}~${randomBytes(4).toString("hex")}`;
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void => {
      reject(openFailed(`cannot listen on ${path}`, error));
    };
    server.once("error", failed);
    server.listen({ path, exclusive: true }, () => {
      server.off("error", failed);
      resolve();
    });
  });
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw openFailed(`cannot remove ${path}`, error);
  }
}

function openFailed(text: string, cause?: unknown): CanfleetError {
  const reason = codeOf(cause);
  return new CanfleetError("CAN_OPEN_FAILED", reason ? `${text}: ${reason}` : text, { cause });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}
