/**
 * An app that takes frames from another program's relay and counts them. Argument: JSON, PeerAppOptions. Commands on
 * stdin as in app.ts.
 */
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { payloadOffsets } from "../cannelloni-packet.ts";
import { FrameMeter } from "../frame-meter.ts";
import { ElementSplitter, framePayload } from "../socketcand-elements.ts";

/** cannelloni sends to a port of this app; to socketcand, which listens, the app connects and asks for a bus. */
export type PeerAppOptions = { peer: "cannelloni" } | { peer: "socketcand"; port: number; channel: string };

const HOST = "127.0.0.1";
const RETRY_MS = 50;
/** As much as the kernel allows: what is lost shall be the relay's loss. */
const RECEIVE_BUFFER_BYTES = 4 << 20;

const meter = new FrameMeter();

function fail(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

function takeFromCannelloni(): void {
  const socket = createSocket({ type: "udp4", recvBufferSize: RECEIVE_BUFFER_BYTES });
  socket.on("message", (packet) => {
    const offsets = payloadOffsets(packet) ?? fail("cannelloni: a packet that is none of its format");
    meter.count(offsets.length);
    for (const at of offsets) meter.addLatency(packet, at);
  });
  socket.bind(0, HOST, () => meter.serve({ port: socket.address().port }));
}

/** Connects, again and again until socketcand listens. */
function takeFromSocketcand(port: number, channel: string): void {
  const socket = connect(port, HOST);
  const splitter = new ElementSplitter();
  const steps = handshake(channel);
  const answer = (element: string): void => {
    const step = steps.shift();
    if (step?.after !== element) fail(`socketcand says ${element}`);
    if (step.say !== undefined) socket.write(step.say);
  };
  socket.on("data", (chunk) => {
    const payloads: Buffer[] = [];
    for (const element of splitter.push(chunk.toString("latin1"))) {
      const payload = framePayload(element);
      if (payload) payloads.push(payload);
      else answer(element);
    }
    if (payloads.length === 0) return;
    meter.count(payloads.length);
    for (const payload of payloads) meter.addLatency(payload, 0);
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    if (socket.bytesRead > 0) fail("socketcand closed the connection");
    setTimeout(() => takeFromSocketcand(port, channel), RETRY_MS);
  });
}

/** What is answered to what socketcand says before frames come. */
function handshake(channel: string): { after: string; say?: string }[] {
  return [
    { after: "< hi >", say: `< open ${channel} >` },
    { after: "< ok >", say: "< rawmode >" },
    { after: "< ok >" },
  ];
}

const options = JSON.parse(process.argv[2] ?? "{}") as PeerAppOptions;
if (options.peer === "cannelloni") takeFromCannelloni();
else {
  takeFromSocketcand(options.port, options.channel);
  meter.serve({ port: options.port });
}
