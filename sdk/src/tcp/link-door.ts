import type { Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import { messageOf } from "../errors.ts";
import { GuessBrake } from "./guess-brake.ts";
import { ProofError, proveToken, type LinkRole } from "./link-proof.ts";
import { certificateNameOf, linkError, text, type LinkPeer, type LinkSecurity, type LinkTls } from "./link-security.ts";

/** Connections on their way in at most; one more ends the oldest. */
const MAX_PENDING = 32;

const HUNG_UP = "it closed the connection before it was let in: does it trust this end?";
/** Node ends such connections by itself and says nothing. */
const DISTRUSTED = "its certificate is not from an authority that is trusted here, or it closed the connection itself";

export interface LinkDoorOptions extends LinkSecurity {
  /** This end's. */
  role: LinkRole;
  /** For TLS and for the token, each. */
  handshakeMs: number;
  onPeer: (peer: LinkPeer) => void;
  /** A connection was not let in. `reason` is for people. */
  onRefused: (address: string, reason: string) => void;
}

/** Lets in who shows what is asked: TLS, then the token. Bounded, and slow for those who guess. */
export class LinkDoor {
  readonly #options: LinkDoorOptions;
  readonly #tls: TlsServer | undefined;
  readonly #brake = new GuessBrake();
  /** The oldest first. */
  readonly #pending = new Set<Socket>();

  constructor(options: LinkDoorOptions) {
    this.#options = options;
    this.#tls = options.tls && this.#makeTls(options.tls);
  }

  #makeTls({ ca, cert, key }: LinkTls): TlsServer {
    const server = createTlsServer({
      cert: text(cert ?? ""),
      key: text(key ?? ""),
      ...(ca !== undefined && { ca: text(ca), requestCert: true, rejectUnauthorized: true }),
      handshakeTimeout: this.#options.handshakeMs,
      minVersion: "TLSv1.2",
    });
    server.on("secureConnection", (socket) => this.#prove(socket, plainAddress(socket.remoteAddress ?? "")));
    server.on("tlsClientError", (error, socket) => {
      // One that hung up has no address any more: its plain connection tells.
      if (socket.remoteAddress !== undefined && this.#forget(socket)) {
        this.#options.onRefused(plainAddress(socket.remoteAddress), tlsText(error));
      }
      socket.destroy();
    });
    return server;
  }

  /** Looks at a connection that was just made. */
  take(socket: Socket, address: string): void {
    if (this.#brake.isHeld(address)) {
      socket.destroy();
      this.#options.onRefused(address, "too many wrong tokens came from there: it has to wait");
      return;
    }
    const { tls, token } = this.#options;
    if (!tls && token === undefined) {
      this.#options.onPeer({ socket, proven: undefined, certificateName: undefined });
      return;
    }
    this.#watch(socket, address);
    if (this.#tls) this.#tls.emit("connection", socket);
    else this.#prove(socket, address);
  }

  #watch(socket: Socket, address: string): void {
    this.#pending.add(socket);
    // Errors of what is still pending are its own end; TLS or the proof tell why.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      if (this.#pending.delete(socket))
        this.#options.onRefused(address, this.#options.tls?.ca === undefined ? HUNG_UP : DISTRUSTED);
    });
    if (this.#pending.size <= MAX_PENDING) return;
    const oldest = this.#pending.values().next().value!;
    this.#pending.delete(oldest);
    oldest.destroy();
    this.#options.onRefused(address, `${MAX_PENDING} connections are on their way in: the oldest was ended`);
  }

  #prove(socket: Socket, address: string): void {
    const { role, token, handshakeMs } = this.#options;
    if (token === undefined) {
      this.#letIn(socket, undefined);
      return;
    }
    proveToken(
      socket,
      { role, token, timeoutMs: handshakeMs },
      (rest) => {
        this.#brake.succeeded(address);
        this.#letIn(socket, rest);
      },
      (error) => {
        if (error instanceof ProofError && error.isGuess) this.#brake.failed(address);
        if (this.#forget(socket)) this.#options.onRefused(address, error.message);
      },
    );
  }

  #letIn(socket: Socket, proven: Uint8Array | undefined): void {
    this.#forget(socket);
    this.#options.onPeer({ socket, proven, certificateName: certificateNameOf(socket) });
  }

  /** A TLS connection stands for the plain one below it, which has the same peer. @returns whether it was pending */
  #forget(socket: Socket): boolean {
    if (this.#pending.delete(socket)) return true;
    const { remoteAddress, remotePort } = socket;
    for (const plain of this.#pending) {
      if (plain.remotePort === remotePort && plain.remoteAddress === remoteAddress) return this.#pending.delete(plain);
    }
    return false;
  }

  /** Ends what is on its way in. */
  close(): void {
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const socket of pending) socket.destroy();
  }
}

/** An IPv4 address without the `::ffff:` that a socket for both versions puts in front of it. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}

/** What a listener says of a TLS connection that did not come about. */
function tlsText(error: Error): string {
  const code = (error as { code?: unknown }).code;
  if (code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE") return "it shows no certificate, and one is wanted here";
  if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") return "it took too long over TLS";
  if (typeof code === "string" && code.includes("ALERT"))
    return `it does not accept the certificate of this end (${messageOf(error)})`;
  const known = linkError(error);
  if (known.code === "LINK_REFUSED") return known.message;
  return /WRONG_VERSION|HTTP_REQUEST|PACKET_LENGTH|UNKNOWN_PROTOCOL|NOT_TLS|RECORD/.test(String(code))
    ? "it does not speak TLS"
    : `TLS: ${known.message}`;
}
