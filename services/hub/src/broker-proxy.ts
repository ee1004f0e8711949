import type { IncomingMessage } from "node:http";
import { connect as connectTcp, isIP } from "node:net";
import { pipeline, type Duplex } from "node:stream";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import type { HubTls } from "@canfleet/sdk";
import type { ConnectionGate } from "./connection-gate.ts";
import type { ConnectionHandler } from "./listeners.ts";

/**
 * Carries the page's WebSockets to an external broker, which need not have a WebSocket of its own. The bytes go
 * through as they are: who connects, and with which password, is between the page and that broker.
 */
export class BrokerProxy implements ConnectionHandler {
  readonly #address: () => string;
  readonly #gate: ConnectionGate;
  readonly #tls: HubTls;

  /** @param address the broker's address that answers now, `mqtt://` or `mqtts://` */
  constructor(address: () => string, gate: ConnectionGate, tls: HubTls = {}) {
    this.#address = address;
    this.#tls = tls;
    this.#gate = gate;
  }

  handle(conn: Duplex, request: IncomingMessage): void {
    // Whom that broker lets in it says to its client, not to us.
    this.#gate.settle(request.socket);
    const upstream = this.#connect();
    // Either end's failure ends both.
    pipeline(conn, upstream, conn, () => undefined);
  }

  #connect(): Duplex {
    const { protocol, hostname, port } = new URL(this.#address());
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
