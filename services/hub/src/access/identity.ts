import type { Publication } from "../authorization.ts";
import type { SendGrant } from "./send-grants.ts";

/** What somebody may do at all; the table is in docs/security.md. */
export const ROLES = ["edge", "reader", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/**
 * Who somebody is known to be. "edge" a relay, "user" a person, "token" a program, "hub" one of this hub's own clients,
 * "anybody" whoever comes to a hub without access control.
 */
export type IdentityKind = "edge" | "user" | "token" | "hub" | "anybody";

/** Somebody who was let in. An object of its own for each login, so that one login can be ended. */
export interface Identity {
  /** Unique within its kind. */
  readonly name: string;
  readonly kind: IdentityKind;
  /** "hub" and "anybody" have "admin" here, and are asked for by kind where it matters. */
  readonly role: Role;
  /** Where and which frames may be asked to be sent. Empty: none. */
  readonly send: readonly SendGrant[];
}

/** The certificate that a client showed in its TLS handshake and that the hub's CA has signed. */
export interface ClientCertificate {
  /** Common name of the subject. */
  readonly name: string;
  /** SHA-256 of the whole certificate, as `tls.PeerCertificate.fingerprint256` writes it. */
  readonly fingerprint256: string;
}

/** What somebody shows who wants in. */
export interface Credentials {
  /** Client id of the MQTT connection; empty on HTTP. */
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  /** Address of the peer without its port; undefined when the connection has gone already. */
  readonly address: string | undefined;
  /** Whether others on the way can read what is sent: neither TLS nor a connection within this machine. */
  readonly isPlain: boolean;
  /** Present only when the TLS listener has verified it. */
  readonly certificate?: ClientCertificate;
  /** The text of the Cookie header with which a WebSocket was opened. */
  readonly cookie?: string;
  /** What a client wants to have published when it is gone. An edge that may not say that is not let in. */
  readonly will?: Publication;
  /** The token of its Authorization header. */
  readonly bearer?: string;
}

/** The edges that have certificates, and which of these still count. */
export interface EdgeRegistry {
  /** Name of the edge with this certificate; undefined when there is none, or it was revoked. */
  edgeOf(fingerprint256: string): string | undefined;
  /** Takes over what was changed a moment ago. */
  look(): Promise<void>;
}

/** Why somebody was not let in. "later": too many attempts, or too much to do; nothing is said of the password. */
export type LoginRefusal = "wrong" | "later";
