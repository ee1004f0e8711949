import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it, type TestContext } from "node:test";
import { chromium, type Page } from "playwright-core";
import { EFF_FLAG, RTR_FLAG } from "@canfleet/sdk";
import { until } from "./harness.suite.ts";
import { Hub } from "./hub.ts";
import { SimulatedEdge } from "./simulated-edge.suite.ts";

const CHROMIUM = process.env.CANFLEET_CHROMIUM ?? "/usr/bin/chromium";
const LOCAL = { host: "127.0.0.1", port: 0 };
const noChromium =
  !existsSync(CHROMIUM) && process.env.CANFLEET_REQUIRE_REAL !== "1" ? `${CHROMIUM} is not installed` : false;

interface OpenPage {
  page: Page;
  hub: Hub;
  /** Errors on the page's console, Content-Security-Policy included. */
  errors: string[];
}

async function openPage(t: TestContext): Promise<OpenPage> {
  const hub = await Hub.start({ listen: LOCAL, http: LOCAL });
  t.after(() => hub.close());
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
  t.after(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const errors: string[] = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(hub.httpUrl!);
  return { page, hub, errors };
}

const T = 1_700_000_000_000_000;

async function idsOn(page: Page): Promise<string[]> {
  return page.locator("#ids td.id").allTextContents();
}

describe("the page", { timeout: 120_000, skip: noChromium }, () => {
  it("names the next command while there is no edge", async (t) => {
    const { page, hub, errors } = await openPage(t);
    await page.locator("#try-sim").waitFor();
    assert.equal(
      await page.locator("#try-sim").textContent(),
      `canfleet edge sim:car --hub ${hub.mqttUrl} --name demo`,
    );
    assert.deepEqual(errors, []);
  });

  it("shows the fleet, and the frames of a bus by id", async (t) => {
    const { page, hub, errors } = await openPage(t);
    const edge = await SimulatedEdge.connect(t, hub.mqttUrl, "pi-7");
    await edge.state("online");
    await edge.info({ can0: { driver: "sim", send: "link" } });
    await edge.status("can0", {
      state: "up",
      framesPerSecond: 20,
      loadPercent: 31,
      lost: { kernel: null, edge: 1204 },
      clock: { offsetUs: -3_200_000, errorUs: 400, steps: 1, lastStepUs: -3_200_000 },
      spool: { state: "ok", reason: "", bytes: 12_345_678, frames: 40_000, dropping: true },
    });
    const card = page.locator('a.bus[href="#/pi-7/can0"]');
    await card.waitFor();
    assert.match(await card.innerText(), /● live/);
    assert.match(await card.innerText(), /kernel \? · edge 1,204/);
    assert.match(await card.innerText(), /−3\.2 s, set/);
    assert.match(await card.innerText(), /12\.3 MB, drops/);

    await page.locator("#monitor-title", { hasText: "pi-7/can0" }).waitFor();
    await until("the page is subscribed to frames, results and pings", async () => {
      const response = await page.request.get(`${hub.httpUrl!}/api/clients`);
      const { clients } = (await response.json()) as { clients: { subscriptions: number }[] };
      return clients.some(({ subscriptions }) => subscriptions >= 3);
    });
    edge.frames("can0", [
      { timestampUs: T, idWord: 0x123, data: Uint8Array.of(0x10, 0x20) },
      { timestampUs: T + 100, idWord: (0x18fee500 | EFF_FLAG) >>> 0, data: new Uint8Array(8) },
      { timestampUs: T + 200, idWord: (0x7ff | RTR_FLAG) >>> 0, length: 2 },
      { timestampUs: T + 50_000, idWord: 0x123, data: Uint8Array.of(0x11, 0x1f) },
    ]);
    await page.locator("#ids tbody tr").nth(2).waitFor();
    assert.deepEqual(await idsOn(page), ["123", "7FF", "18FEE500"]);
    const first = page.locator("#ids tbody tr").first();
    assert.deepEqual(await first.locator("td").allInnerTexts(), ["123", "RX", "20.0", "2", "50.0", "2", "111F"]);

    await page.fill("#filter", "123:7FF");
    await page.locator("#ids tbody tr").nth(1).waitFor({ state: "detached" });
    await page.locator("#filter-note", { hasText: "1 of 3 ids match" }).waitFor();
    await page.fill("#filter", "xyz");
    await page.locator('#filter[aria-invalid="true"]').waitFor();
    await page.locator("#filter-note", { hasText: "expected ID" }).waitFor();
    await page.fill("#filter", "");
    await page.locator("#ids tbody tr").nth(2).waitFor();

    await page.click("th.id button");
    await page.locator('th.id[aria-sort="descending"]').waitFor();
    assert.deepEqual(await idsOn(page), ["18FEE500", "7FF", "123"]);
    assert.deepEqual(errors, []);
  });

  it("marks changed bytes by line as well as by colour, and stands still while paused", async (t) => {
    const { page, hub } = await openPage(t);
    const edge = await SimulatedEdge.connect(t, hub.mqttUrl, "pi-7");
    await edge.state("online");
    await edge.status("can0", { state: "up" });
    await page.locator("#monitor-title", { hasText: "pi-7/can0" }).waitFor();
    let byte = 0;
    const timer = setInterval(() => {
      byte = (byte + 1) % 200;
      edge.frames("can0", [{ timestampUs: T + byte, idWord: 0x100, data: Uint8Array.of(byte, 200 - byte) }]);
    }, 20);
    t.after(() => clearInterval(timer));
    const [up, down] = [page.locator(".byte.up"), page.locator(".byte.down")];
    await up.waitFor();
    await down.waitFor();
    const styleOf = (selector: string): Promise<unknown> =>
      page.evaluate(`getComputedStyle(document.querySelector("${selector}")).borderBottomStyle`);
    assert.deepEqual([await styleOf(".byte.up"), await styleOf(".byte.down")], ["solid", "dotted"]);

    await page.click("#pause");
    await page.locator("#filter-note", { hasText: "paused" }).waitFor();
    const count = page.locator("#ids td.count");
    const paused = await count.textContent();
    await page.waitForTimeout(500);
    assert.equal(await count.textContent(), paused);
    await page.click("#pause");
    await until("it counts again", async () => (await count.textContent()) !== paused);
  });

  it("says that the hub is gone, and goes on when it is back", async (t) => {
    const { page, hub } = await openPage(t);
    await page.locator("#try-sim").waitFor();
    const http = { host: "127.0.0.1", port: Number(new URL(hub.httpUrl!).port) };
    await hub.close();
    await page.locator("#connection", { hasText: "Connection to the hub lost" }).waitFor();
    const again = await Hub.start({ listen: LOCAL, http });
    t.after(() => again.close());
    await page.locator("#connection").waitFor({ state: "hidden" });
  });

  it("shows a name as text, whatever it contains", async (t) => {
    const { page, hub, errors } = await openPage(t);
    const edge = await SimulatedEdge.connect(t, hub.mqttUrl, "pi-7");
    await edge.state("online");
    const hostile = "<img src=x onerror=alert(1)>";
    await edge.status("can0", { state: "up", driver: hostile });
    await page.locator("a.bus", { hasText: hostile }).waitFor();
    assert.equal(await page.locator("img").count(), 0);
    assert.deepEqual(errors, []);
  });
});
