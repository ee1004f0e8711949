import assert, { AssertionError } from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CONNECT_CASES } from "./connect-cases.ts";
import { FIELD_CASES } from "./field-cases.ts";
import { PUBLISH_CASES } from "./publish-cases.ts";
import { QOS_CASES } from "./qos-cases.ts";
import { SESSION_CASES } from "./session-cases.ts";
import { mosquittoMissing, Stage, startHub, startMosquitto, type Case, type Target } from "./stage.ts";
import { SUBSCRIBE_CASES } from "./subscribe-cases.ts";
import { TOPIC_CASES } from "./topic-cases.ts";
import { WEBSOCKET_CASES } from "./websocket-cases.ts";

const CASES: readonly Case[] = [
  ...FIELD_CASES,
  ...CONNECT_CASES,
  ...SESSION_CASES,
  ...PUBLISH_CASES,
  ...QOS_CASES,
  ...SUBSCRIBE_CASES,
  ...TOPIC_CASES,
  ...WEBSOCKET_CASES,
];
/** Cases at a time. */
const CONCURRENCY = 16;

const BROKERS = [
  { name: "hub", start: startHub, missing: undefined },
  { name: "mosquitto", start: startMosquitto, missing: mosquittoMissing() },
] as const;

for (const { name, start, missing } of BROKERS) {
  describe(`MQTT 3.1.1, ${name}`, { concurrency: CONCURRENCY, skip: missing ?? false }, () => {
    let target: Target;
    before(async () => {
      target = await start();
    });
    after(() => target.close());

    for (const [index, each] of CASES.entries()) {
      const deviation = each[name]?.deviates;
      const title = `[${each.statement}] ${each.title}`;
      it(deviation === undefined ? title : `${title}: not so, ${deviation}`, async () => {
        const stage = new Stage(target, `t${index}`);
        try {
          // A case that hangs fails with another error: a deviation has to be seen.
          if (deviation === undefined) await each.run(stage);
          else await assert.rejects(each.run(stage), AssertionError, "the deviation is gone");
        } finally {
          await stage.end();
        }
      });
    }
  });
}
