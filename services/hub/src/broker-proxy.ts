import { connect as connectTcp } from "node:net";
import { pipeline, type Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { ConnectionHandler } from "./listeners.ts";

/**
 * Carries the page's WebSockets to an external broker, which need not have a WebSocket of its own. The bytes go
 * through as they are: who connects, and with which password, is between the page and that broker.
 */
export class BrokerProxy implements ConnectionHandler {
  readonly #url: URL;
  readonly #maxConnections: number;
  readonly #open = new Set<Duplex>();

  /** @param url `mqtt://` or `mqtts://` */
  constructor(url: string, maxConnections: number) {
    this.#url = new URL(url);
    this.#maxConnections = maxConnections;
  }

  get hasRoom(): boolean {
    return this.#open.size < this.#maxConnections;
  }

  handle(conn: Duplex): void {
    const upstream = this.#connect();
    this.#open.add(conn);
    const ended = (): void => {
      this.#open.delete(conn);
    };
    // Either end's failure ends both.
    pipeline(conn, upstream, conn, ended);
  }

  #connect(): Duplex {
    const { protocol, hostname, port } = this.#url;
    const host = hostname.replace(/^\[|\]$/g, "");
    if (protocol === "mqtts:") return connectTls({ host, port: Number(port || 8883), servername: host });
    return connectTcp({ host, port: Number(port || 1883), noDelay: true });
  }
}
