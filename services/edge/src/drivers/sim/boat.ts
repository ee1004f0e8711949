import { tellBoatStory, type BoatState } from "./boat-story.ts";
import type { MessageSpec, SignalSpec, World } from "./database.ts";

type Signal = SignalSpec<BoatState>;

/** Source addresses, and how the DBC file calls the devices. */
const DEVICES = {
  Compass: 0x05,
  Autopilot: 0x0c,
  Gps: 0x10,
  Sounder: 0x23,
  WindVane: 0x31,
  PortEngine: 0x40,
  StarboardEngine: 0x41,
  Hull: 0x52,
} as const;
type Device = keyof typeof DEVICES;

const KELVIN_MAX = 655;
const TRUE_MAGNETIC = { 0: "True", 1: "Magnetic" };

/** Sequence id: frames of one measurement carry the same number; 0 to 252 (NMEA 2000). */
function sid(startBit = 0): Signal {
  return { name: "SID", startBit, bits: 8, min: 0, max: 252, value: "counter" };
}

function constant(
  name: string,
  startBit: number,
  bits: number,
  value: number,
  labels?: Record<number, string>,
): Signal {
  const named = labels ? { labels } : {};
  return { name, startBit, bits, min: 0, max: 2 ** bits - 1, value: () => value, ...named };
}

/** 16 bits of 0.0001 rad, signed or 0 to 2π. */
function angle(name: string, startBit: number, signed: boolean, value: (state: BoatState) => number): Signal {
  const range = signed ? { signed, min: -3.2767, max: 3.2767 } : { min: 0, max: 6.2831 };
  return { name, startBit, bits: 16, scale: 0.0001, unit: "rad", value, ...range };
}

/** 16 bits of 0.01 m/s. */
function speed(name: string, startBit: number, value: (state: BoatState) => number): Signal {
  return { name, startBit, bits: 16, scale: 0.01, min: 0, max: 655.32, unit: "m/s", value };
}

/** A single-frame PGN; the arbitration id holds priority, PGN and source (ISO 11783-3). */
function message(
  name: string,
  pgn: number,
  priority: number,
  device: Device,
  periodMs: number,
  signals: readonly Signal[],
): MessageSpec<BoatState> {
  return {
    name,
    arbitrationId: ((priority << 26) | (pgn << 8) | DEVICES[device]) >>> 0,
    isExtendedId: true,
    length: 8,
    periodMs,
    sender: device,
    comment: `NMEA 2000 PGN ${pgn}.`,
    fill: 0xff,
    signals,
  };
}

const ATTITUDE = [
  message("VesselHeading", 127250, 2, "Compass", 20, [
    sid(),
    angle("Heading", 8, false, (s) => s.headingRad),
    angle("Variation", 40, true, () => 0.0733),
    constant("HeadingReference", 56, 2, 0, TRUE_MAGNETIC),
  ]),
  message("RateOfTurn", 127251, 2, "Compass", 20, [
    sid(),
    {
      name: "Rate",
      startBit: 8,
      bits: 32,
      signed: true,
      scale: 3.125e-8,
      min: -67,
      max: 67,
      unit: "rad/s",
      value: (s) => s.rateOfTurnRadS,
    },
  ]),
  message("Attitude", 127257, 3, "Compass", 20, [
    sid(),
    angle("Yaw", 8, true, (s) => (s.headingRad > Math.PI ? s.headingRad - 2 * Math.PI : s.headingRad)),
    angle("Pitch", 24, true, (s) => s.pitchRad),
    angle("Roll", 40, true, (s) => s.rollRad),
  ]),
  message("Rudder", 127245, 2, "Autopilot", 50, [
    constant("RudderInstance", 0, 8, 0),
    angle("AngleOrder", 16, true, (s) => s.rudderRad),
    angle("Position", 32, true, (s) => s.rudderRad * 0.98 + 0.002 * s.noise(s.seconds, 10)),
  ]),
];

const NAVIGATION = [
  message("SystemTime", 126992, 3, "Gps", 1000, [
    sid(),
    constant("Source", 8, 4, 0, { 0: "GPS" }),
    {
      name: "Date",
      startBit: 16,
      bits: 16,
      min: 0,
      max: 65532,
      unit: "d",
      comment: "Days since 1970.",
      value: (s) => Math.floor(s.clockMs / 86_400_000),
    },
    {
      name: "TimeOfDay",
      startBit: 32,
      bits: 32,
      scale: 0.0001,
      min: 0,
      max: 86401,
      unit: "s",
      value: (s) => (s.clockMs % 86_400_000) / 1000,
    },
  ]),
  message("PositionRapidUpdate", 129025, 2, "Gps", 100, [
    {
      name: "Latitude",
      startBit: 0,
      bits: 32,
      signed: true,
      scale: 1e-7,
      min: -90,
      max: 90,
      unit: "deg",
      value: (s) => s.latitudeDegrees,
    },
    {
      name: "Longitude",
      startBit: 32,
      bits: 32,
      signed: true,
      scale: 1e-7,
      min: -180,
      max: 180,
      unit: "deg",
      value: (s) => s.longitudeDegrees,
    },
  ]),
  message("CogSogRapidUpdate", 129026, 2, "Gps", 100, [
    sid(),
    constant("CogReference", 8, 2, 0, TRUE_MAGNETIC),
    angle("CourseOverGround", 16, false, (s) => s.courseRad),
    speed("SpeedOverGround", 32, (s) => s.speedOverGroundMs),
  ]),
  message("Speed", 128259, 2, "Sounder", 500, [sid(), speed("SpeedWaterReferenced", 8, (s) => s.speedThroughWaterMs)]),
  message("WaterDepth", 128267, 3, "Sounder", 500, [
    sid(),
    { name: "Depth", startBit: 8, bits: 32, scale: 0.01, min: 0, max: 42949672, unit: "m", value: (s) => s.depthM },
    {
      name: "Offset",
      startBit: 40,
      bits: 16,
      signed: true,
      scale: 0.001,
      min: -32.767,
      max: 32.764,
      unit: "m",
      comment: "Transducer to keel.",
      value: () => -0.4,
    },
  ]),
  message("WindData", 130306, 2, "WindVane", 50, [
    sid(),
    speed("WindSpeed", 8, (s) => s.apparentWindMs),
    angle("WindAngle", 24, false, (s) => s.apparentWindRad),
    constant("WindReference", 40, 3, 2, { 2: "Apparent" }),
  ]),
];

function engine(instance: 0 | 1, side: string, device: Device): MessageSpec<BoatState>[] {
  return [
    message(`EngineRapidUpdate${side}`, 127488, 2, device, 100, [
      constant("EngineInstance", 0, 8, instance),
      {
        name: "EngineSpeed",
        startBit: 8,
        bits: 16,
        scale: 0.25,
        min: 0,
        max: 16383,
        unit: "rpm",
        value: (s) => s.engineRpm[instance],
      },
    ]),
    message(`Transmission${side}`, 127493, 2, device, 100, [
      constant("TransmissionInstance", 0, 8, instance),
      constant("TransmissionGear", 8, 2, 0, { 0: "Forward", 1: "Neutral", 2: "Reverse" }),
      {
        name: "OilTemperature",
        startBit: 32,
        bits: 16,
        scale: 0.1,
        min: 0,
        max: KELVIN_MAX * 10,
        unit: "K",
        value: (s) => 345 - 55 * Math.exp(-s.seconds / 500),
      },
    ]),
  ];
}

function battery(instance: 0 | 1, volts: number): MessageSpec<BoatState> {
  // Two instances from one device would share an arbitration id; each has an address of its own here.
  const device = instance === 0 ? "PortEngine" : "StarboardEngine";
  return message(`BatteryStatus${instance}`, 127508, 6, device, 1000, [
    constant("BatteryInstance", 0, 8, instance),
    {
      name: "Voltage",
      startBit: 8,
      bits: 16,
      signed: true,
      scale: 0.01,
      min: -327,
      max: 327,
      unit: "V",
      value: (s) => volts + 0.05 * s.noise(s.seconds, 20 + instance),
    },
    {
      name: "Current",
      startBit: 24,
      bits: 16,
      signed: true,
      scale: 0.1,
      min: -3276,
      max: 3276,
      unit: "A",
      value: (s) => 8 + 2 * s.noise(s.seconds, 22 + instance),
    },
    sid(56),
  ]);
}

const HULL = [
  message("FluidLevel", 127505, 6, "Hull", 1000, [
    constant("FluidInstance", 0, 4, 0),
    constant("FluidType", 4, 4, 0, { 0: "Fuel", 1: "Water" }),
    {
      name: "Level",
      startBit: 8,
      bits: 16,
      signed: true,
      scale: 0.004,
      min: 0,
      max: 131,
      unit: "%",
      value: (s) => Math.max(5, 78 - s.seconds / 600),
    },
    { name: "Capacity", startBit: 24, bits: 32, scale: 0.1, min: 0, max: 429496729, unit: "l", value: () => 320 },
  ]),
  message("Temperature", 130312, 5, "Hull", 1000, [
    sid(),
    constant("TemperatureInstance", 8, 8, 0),
    constant("TemperatureSource", 16, 8, 0, { 0: "Sea", 1: "Outside" }),
    {
      name: "ActualTemperature",
      startBit: 24,
      bits: 16,
      scale: 0.01,
      min: 0,
      max: KELVIN_MAX,
      unit: "K",
      value: (s) => s.seaKelvin,
    },
  ]),
];

/** A motor boat with single-frame NMEA 2000 messages on 250 kbit/s: some 260 frames/s, all with 29-bit ids. */
export const BOAT: World<BoatState> = {
  bitrate: 250_000,
  messages: [
    ...ATTITUDE,
    ...NAVIGATION,
    ...engine(0, "Port", "PortEngine"),
    ...engine(1, "Starboard", "StarboardEngine"),
    battery(0, 12.8),
    battery(1, 13.6),
    ...HULL,
  ].sort((a, b) => a.arbitrationId - b.arbitrationId),
  tell: tellBoatStory,
};
