import { connect as connectTcp, isIP } from "node:net";
import { pipeline, type Duplex } from "node:stream";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import type { HubTls } from "@canfleet/sdk";
import type { ConnectionHandler } from "./listeners.ts";

/**
 * Carries the page's WebSockets to an external broker, which need not have a WebSocket of its own. The bytes go
 * through as they are: who connects, and with which password, is between the page and that broker.
 */
export class BrokerProxy implements ConnectionHandler {
  readonly #url: URL;
  readonly #maxConnections: number;
  readonly #tls: HubTls;
  readonly #open = new Set<Duplex>();

  /** @param url `mqtt://` or `mqtts://` */
  constructor(url: string, maxConnections: number, tls: HubTls = {}) {
    this.#url = new URL(url);
    this.#tls = tls;
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
    if (protocol === "mqtts:") {
      const { ca, cert, key, servername } = this.#tls;
      const name = servername ?? (isIP(host) === 0 ? host : undefined);
      const given = { ca, cert, key, ...(name === undefined ? {} : { servername: name }) };
      return connectTls({ host, port: Number(port || 8883), ...given } as ConnectionOptions).setNoDelay(true);
    }
    return connectTcp({ host, port: Number(port || 1883), noDelay: true });
  }
}
