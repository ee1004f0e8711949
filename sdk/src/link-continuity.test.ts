import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameBatch, type Losses } from "./can/frame-batch.ts";
import { LinkContinuity } from "./link-continuity.ts";

function follow(continuity: LinkContinuity, seq: number, lost?: Losses, epoch = 1): Losses | undefined {
  const batch = FrameBatch.of({ idWord: 1 }, { idWord: 2 });
  Object.assign(batch, { epoch, seq, lost });
  continuity.follow(batch);
  return batch.lost;
}

describe("continuity of a link", () => {
  it("counts what numbers are missing after a break, less what the edge says itself", () => {
    const continuity = new LinkContinuity();
    continuity.resume();
    assert.equal(follow(continuity, 10), undefined);
    continuity.resume();
    assert.deepEqual(follow(continuity, 20), { link: 8 });
    continuity.resume();
    assert.deepEqual(follow(continuity, 30, { link: 5, kernel: 2 }), { link: 8, kernel: 2 });
  });

  it("adds nothing when nothing is missing, or the edge was started again", () => {
    const continuity = new LinkContinuity();
    follow(continuity, 10);
    continuity.resume();
    assert.equal(follow(continuity, 12), undefined);
    continuity.resume();
    assert.equal(follow(continuity, 500, undefined, 2), undefined);
  });

  it("takes jumps within a connection for filtered frames, and then does not know what a break cost", () => {
    const continuity = new LinkContinuity();
    follow(continuity, 10);
    assert.equal(follow(continuity, 20), undefined);
    continuity.resume();
    assert.deepEqual(follow(continuity, 30), { link: null });
  });

  it("stays sure of its numbers where a loss explains a jump", () => {
    const continuity = new LinkContinuity();
    follow(continuity, 10);
    follow(continuity, 20, { link: 8 });
    continuity.resume();
    assert.deepEqual(follow(continuity, 30), { link: 8 });
  });

  it("says unknown where frames have no numbers", () => {
    const continuity = new LinkContinuity();
    follow(continuity, -1);
    continuity.resume();
    assert.deepEqual(follow(continuity, -1), { link: null });
  });
});
