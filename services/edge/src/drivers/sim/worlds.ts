import { BOAT } from "./boat.ts";
import { CAR } from "./car.ts";
import { toDbc } from "./dbc.ts";
import { makeTraffic, type Traffic } from "./traffic.ts";

/** Traffic of the bus with this name; undefined for a bus on which only participants send. */
export function trafficOf(name: string, startUs: number, seed: number): Traffic | undefined {
  if (name === "car") return makeTraffic(CAR, startUs, seed);
  if (name === "boat") return makeTraffic(BOAT, startUs, seed);
  return undefined;
}

/** Bit rate of the bus with this name, bit/s; undefined for a bus on which only participants send. */
export function bitrateOf(name: string): number | undefined {
  if (name === "car") return CAR.bitrate;
  if (name === "boat") return BOAT.bitrate;
  return undefined;
}

/** The DBC files of the simulated buses by file name, as they stand in the package's `dbc` folder. */
export function dbcFiles(): Record<string, string> {
  return {
    "car.dbc": toDbc(CAR, "The simulated car, sim:car."),
    "boat.dbc": toDbc(BOAT, "The simulated boat, sim:boat: single-frame NMEA 2000 messages."),
  };
}
