import "./mqtt-numbers.ts";

export * from "./browser.ts";
export * from "./tcp-bus.ts";
export * from "./tcp/dialer.ts";
export * from "./tcp/drop-socket.ts";
export * from "./tcp/link-security.ts";
export * from "./tcp/link-timing.ts";
export * from "./tcp/link-watchdog.ts";
export * from "./tcp/listener.ts";
export * from "./tcp/repeat-filter.ts";
export * from "./tcp/write-queue.ts";
