import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { CanfleetError } from "../errors.ts";
import { viewOf } from "../wire/byte-tail.ts";
import {
  CHALLENGE_BYTES,
  decodeChallenge,
  decodeEdgeProof,
  decodeHostProof,
  EDGE_PROOF_BYTES,
  encodeChallenge,
  encodeEdgeProof,
  encodeHostProof,
  encodeRefusal,
  HOST_PROOF_BYTES,
  PROOF_BYTES,
  RANDOM_BYTES,
  refusalAt,
  type RefusalCode,
} from "../wire/link-lock.ts";
import { GREETING_SIZE, HELLO_SIZE, hostSignalAt, signalAt } from "../wire/record.ts";
import { sayLastly } from "./last-words.ts";

export type LinkRole = "edge" | "host";

export interface ProofOptions {
  /** This end's. */
  role: LinkRole;
  token: string;
  timeoutMs: number;
}

/** Why the other end has not proven the token. */
export class ProofError extends CanfleetError {
  /** Whether it tried, or sent something else: guesses are counted. */
  readonly isGuess: boolean;

  constructor(text: string, { isGuess = false } = {}) {
    super("LINK_REFUSED", text);
    this.isGuess = isGuess;
  }
}

/**
 * Both ends show that they know the token (docs/wire-tcp.md 5.2). Exactly one of the callbacks is called, once; after
 * `failed` the connection ends by itself.
 *
 * @param proven told at once with what came behind the proof; listeners for what follows must be added in that call
 */
export function proveToken(
  socket: Socket,
  options: ProofOptions,
  proven: (rest: Uint8Array) => void,
  failed: (error: CanfleetError) => void,
): void {
  const proof = options.role === "edge" ? new EdgeProof(socket, options) : new HostProof(socket, options);
  proof.run(proven, failed);
}

const CHANNEL_LABEL = "EXPORTER-canfleet-raw-link";
const CHANNEL_BYTES = 32;
const OTHER_BYTES = "what it sends is no proof of a token";

abstract class LinkProof {
  protected readonly socket: Socket;
  protected readonly options: ProofOptions;
  protected readonly ownRandom = randomBytes(RANDOM_BYTES);
  #bytes: Uint8Array = new Uint8Array(0);
  #proven: (rest: Uint8Array) => void = () => undefined;
  #failed: (error: CanfleetError) => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: ProofOptions) {
    this.socket = socket;
    this.options = options;
  }

  /** What is said first. */
  protected abstract begin(): void;
  /**
   * Looks at all bytes that came so far, 13 (from a host) or 21 (from an edge) or more.
   *
   * @returns how many of them were the proof; 0 when more are needed
   * @throws ProofError
   */
  protected abstract take(bytes: Uint8Array): number;
  /** Bytes after which the other end's signal can be read. */
  protected abstract readonly signalBytes: number;
  protected abstract readonly other: string;

  run(proven: (rest: Uint8Array) => void, failed: (error: CanfleetError) => void): void {
    this.#proven = proven;
    this.#failed = failed;
    const { timeoutMs } = this.options;
    const tooLate = `${this.other} proved no token within ${timeoutMs / 1000} s`;
    this.#timer = setTimeout(() => this.#fail(new ProofError(tooLate)), timeoutMs);
    this.socket.on("data", this.#onData);
    this.socket.on("error", this.#onError);
    this.socket.on("close", this.#onClose);
    this.begin();
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length < this.signalBytes) return;
    try {
      const taken = this.take(this.#bytes);
      if (taken === 0) return;
      const rest = this.#bytes.subarray(taken);
      this.#leave();
      this.#proven(rest);
    } catch (error) {
      if (!(error instanceof ProofError)) throw error;
      this.#fail(error);
    }
  };

  readonly #onError = (error: Error): void => this.#fail(closed(`${this.other}: ${error.message}`));

  readonly #onClose = (): void => this.#fail(closed(`${this.other} closed the connection before it proved the token`));

  #leave(): void {
    clearTimeout(this.#timer);
    this.socket.off("data", this.#onData);
    this.socket.off("error", this.#onError);
    this.socket.off("close", this.#onClose);
  }

  #fail(error: CanfleetError): void {
    this.#leave();
    sayLastly(this.socket, this.#lastWord);
    this.#failed(error);
  }

  #lastWord: Uint8Array | undefined;

  /** The other end, which is canfleet's, is told why, and the proof has failed. */
  protected refuse(code: RefusalCode, text: string): ProofError {
    this.#lastWord = encodeRefusal(this.options.role, code, Date.now() * 1000);
    return new ProofError(text, { isGuess: code === "wrong" });
  }

  /** What the role proves with this pair of numbers, on this connection. */
  protected proofOf(role: LinkRole, edgeRandom: Uint8Array, hostRandom: Uint8Array): Uint8Array {
    const channel =
      this.socket instanceof TLSSocket
        ? this.socket.exportKeyingMaterial(CHANNEL_BYTES, CHANNEL_LABEL, Buffer.alloc(0))
        : new Uint8Array(CHANNEL_BYTES);
    const hmac = createHmac("sha256", this.options.token).update(`canfleet raw link 1 ${role}`);
    return hmac.update(edgeRandom).update(hostRandom).update(channel).digest();
  }
}

function closed(text: string): CanfleetError {
  return new CanfleetError("LINK_CLOSED", text, { retryable: true });
}

function areSame(given: Uint8Array, wanted: Uint8Array): boolean {
  return given.length === PROOF_BYTES && timingSafeEqual(given, wanted);
}

class EdgeProof extends LinkProof {
  protected readonly signalBytes = HELLO_SIZE;
  protected readonly other = "the host";

  protected begin(): void {
    this.socket.write(encodeChallenge(this.ownRandom, Date.now() * 1000));
  }

  protected take(bytes: Uint8Array): number {
    const signal = hostSignalAt(bytes, viewOf(bytes), 0);
    if (signal === "refusal") throw refused(refusalAt(bytes, 0), "the host", "this link");
    if (signal !== "challenge") throw new ProofError(OTHER_BYTES, { isGuess: true });
    if (bytes.length < HOST_PROOF_BYTES) return 0;
    const { random, proof } = decodeHostProof(bytes);
    if (!areSame(proof, this.proofOf("host", this.ownRandom, random)))
      throw this.refuse("wrong", "its token is another one");
    this.socket.write(encodeEdgeProof(this.proofOf("edge", this.ownRandom, random), Date.now() * 1000));
    return HOST_PROOF_BYTES;
  }
}

class HostProof extends LinkProof {
  protected readonly signalBytes = GREETING_SIZE;
  protected readonly other = "the edge";
  #edgeRandom: Uint8Array | undefined;

  protected begin(): void {
    // The edge speaks first: what a host sends unasked a socketsocketcan client would put on its bus.
  }

  protected take(bytes: Uint8Array): number {
    return this.#edgeRandom ? this.#takeProof(bytes) : this.#takeChallenge(bytes);
  }

  #takeChallenge(bytes: Uint8Array): number {
    const signal = signalAt(bytes, viewOf(bytes), 0);
    if (signal === "greeting") throw this.refuse("wanted", "the edge has no token, and one is wanted here");
    if (signal !== "challenge") throw new ProofError(OTHER_BYTES, { isGuess: true });
    if (bytes.length < CHALLENGE_BYTES) return 0;
    const random = decodeChallenge(bytes);
    if (!random || bytes.length > CHALLENGE_BYTES) throw new ProofError(OTHER_BYTES, { isGuess: true });
    this.#edgeRandom = random;
    this.socket.write(encodeHostProof(this.ownRandom, this.proofOf("host", random, this.ownRandom)));
    return 0;
  }

  #takeProof(all: Uint8Array): number {
    const bytes = all.subarray(CHALLENGE_BYTES);
    if (bytes.length < GREETING_SIZE) return 0;
    const view = viewOf(bytes);
    const signal = signalAt(bytes, view, 0);
    if (signal === "refusal") throw refused(refusalAt(bytes, GREETING_SIZE - HELLO_SIZE), "the edge", "this host");
    if (signal !== "accept") throw new ProofError(OTHER_BYTES, { isGuess: true });
    if (bytes.length < EDGE_PROOF_BYTES) return 0;
    const wanted = this.proofOf("edge", this.#edgeRandom!, this.ownRandom);
    if (!areSame(decodeEdgeProof(bytes), wanted)) {
      throw new ProofError("the edge does not know the token", { isGuess: true });
    }
    return CHALLENGE_BYTES + EDGE_PROOF_BYTES;
  }
}

/** Whoever finds our token wrong knows another one: that is a guess as well. */
function refused(code: RefusalCode | undefined, who: string, here: string): ProofError {
  return new ProofError(refusalText(code, who, here), { isGuess: code === "wrong" });
}

function refusalText(code: RefusalCode | undefined, who: string, here: string): string {
  switch (code) {
    case "wanted":
      return `${who} wants a token, and ${here} has none`;
    case "none":
      return `${who} has no token, and one is wanted here`;
    case "wrong":
      return `${who} has another token than ${here}`;
    case undefined:
      return `${who} refused the token`;
  }
}
