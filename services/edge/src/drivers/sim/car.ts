import { tellCarStory, type CarState } from "./car-story.ts";
import type { MessageSpec, SignalSpec, World } from "./database.ts";

type Signal = SignalSpec<CarState>;

const COUNTER_COMMENT = "One more with each frame; a hole means lost frames.";
const CHECKSUM_COMMENT = "CRC-8 of SAE J1850 over bytes 0 to 6.";

/** 4-bit counter and CRC-8 in the last two bytes, as the messages that matter for safety have them. */
const PROTECTION: readonly Signal[] = [
  { name: "Counter", startBit: 48, bits: 4, min: 0, max: 15, comment: COUNTER_COMMENT, value: "counter" },
  { name: "Checksum", startBit: 56, bits: 8, min: 0, max: 255, comment: CHECKSUM_COMMENT, value: "checksum" },
];

const GEAR_NAMES = { 0: "Neutral", 1: "First", 2: "Second", 3: "Third", 4: "Fourth", 5: "Fifth", 6: "Sixth" };
const OFF_ON = { 0: "Off", 1: "On" };
const TYRES = ["FrontLeft", "FrontRight", "RearLeft", "RearRight"] as const;

function flag(name: string, startBit: number, isOn: (state: CarState) => boolean): Signal {
  return { name, startBit, bits: 1, min: 0, max: 1, labels: OFF_ON, value: (state) => (isOn(state) ? 1 : 0) };
}

/** Temperature in a byte, -40…215 °C, as in OBD-II. */
function temperature(name: string, startBit: number, value: (state: CarState) => number): Signal {
  return { name, startBit, bits: 8, offset: -40, min: -40, max: 215, unit: "degC", value };
}

/** Inner wheels turn slower in a bend. */
function wheelSpeed(index: number): Signal {
  const side = index % 2 === 0 ? -1 : 1;
  return {
    name: `WheelSpeed${TYRES[index]!}`,
    startBit: index * 16 + 7,
    bits: 16,
    byteOrder: "big",
    scale: 0.01,
    min: 0,
    max: 300,
    unit: "km/h",
    value: (s) =>
      s.speedKmh * (1 + (side * s.yawDegreesPerSecond) / 2000) + (s.gear ? 0.05 * s.noise(s.seconds, 20 + index) : 0),
  };
}

function message(
  name: string,
  arbitrationId: number,
  periodMs: number,
  sender: string,
  comment: string,
  signals: readonly Signal[],
): MessageSpec<CarState> {
  return { name, arbitrationId, isExtendedId: false, length: 8, periodMs, sender, comment, signals };
}

const CHASSIS = [
  message("BrakeStatus", 0x0b0, 10, "ABS", "Brake pedal and pressure.", [
    {
      name: "BrakePressure",
      startBit: 0,
      bits: 12,
      scale: 0.1,
      min: 0,
      max: 250,
      unit: "bar",
      value: (s) => s.brakeBar,
    },
    flag("BrakePedal", 12, (s) => s.brakeBar > 0),
    flag("AbsActive", 13, (s) => s.brakeBar > 40),
    ...PROTECTION,
  ]),
  message("SteeringAngle", 0x0c6, 10, "EPS", "Steering wheel; left is positive.", [
    {
      name: "SteeringWheelAngle",
      startBit: 7,
      bits: 16,
      byteOrder: "big",
      signed: true,
      scale: 0.1,
      min: -780,
      max: 780,
      unit: "deg",
      value: (s) => s.steeringDegrees,
    },
    {
      name: "SteeringWheelRate",
      startBit: 23,
      bits: 16,
      byteOrder: "big",
      signed: true,
      scale: 0.5,
      min: -2000,
      max: 2000,
      unit: "deg/s",
      value: (s) => s.steeringDegreesPerSecond,
    },
    ...PROTECTION,
  ]),
  message(
    "WheelSpeeds",
    0x0d0,
    10,
    "ABS",
    "Speed of each wheel.",
    TYRES.map((_, i) => wheelSpeed(i)),
  ),
  message("VehicleDynamics", 0x0d4, 10, "ABS", "Turning and acceleration of the body.", [
    {
      name: "YawRate",
      startBit: 0,
      bits: 16,
      signed: true,
      scale: 0.01,
      min: -100,
      max: 100,
      unit: "deg/s",
      value: (s) => s.yawDegreesPerSecond,
    },
    {
      name: "LateralAcceleration",
      startBit: 16,
      bits: 12,
      signed: true,
      scale: 0.01,
      min: -20,
      max: 20,
      unit: "m/s2",
      value: (s) => s.lateralMs2,
    },
    {
      name: "LongitudinalAcceleration",
      startBit: 28,
      bits: 12,
      signed: true,
      scale: 0.01,
      min: -20,
      max: 20,
      unit: "m/s2",
      value: (s) => s.accelerationMs2,
    },
    ...PROTECTION,
  ]),
  message("VehicleSpeed", 0x1b0, 20, "ABS", "Speed for the dashboard.", [
    { name: "Speed", startBit: 0, bits: 16, scale: 0.01, min: 0, max: 300, unit: "km/h", value: (s) => s.speedKmh },
    flag("Standstill", 16, (s) => s.speedKmh === 0),
    ...PROTECTION,
  ]),
  message(
    "TyrePressures",
    0x410,
    500,
    "BCM",
    "Tyre pressures; they rise as the tyres get warm.",
    TYRES.map((tyre, i) => ({
      name: `Pressure${tyre}`,
      startBit: i * 8,
      bits: 8,
      scale: 0.02,
      min: 0,
      max: 5,
      unit: "bar",
      value: (s: CarState) => 2.3 + 0.02 * i + 0.15 * (1 - Math.exp(-s.seconds / 900)),
    })),
  ),
];

const POWERTRAIN = [
  message("EngineData", 0x0c0, 10, "ECM", "The engine at work.", [
    {
      name: "EngineSpeed",
      startBit: 7,
      bits: 16,
      byteOrder: "big",
      scale: 0.25,
      min: 0,
      max: 8000,
      unit: "rpm",
      value: (s) => s.engineRpm,
    },
    {
      name: "ThrottlePosition",
      startBit: 16,
      bits: 8,
      scale: 0.4,
      min: 0,
      max: 100,
      unit: "%",
      value: (s) => s.throttlePercent,
    },
    {
      name: "EngineTorque",
      startBit: 24,
      bits: 12,
      signed: true,
      scale: 0.5,
      min: -200,
      max: 600,
      unit: "Nm",
      value: (s) => s.torqueNm,
    },
    ...PROTECTION,
  ]),
  message("TransmissionStatus", 0x1a0, 20, "TCM", "Gear and clutch.", [
    { name: "Gear", startBit: 0, bits: 4, min: 0, max: 6, labels: GEAR_NAMES, value: (s) => s.gear },
    {
      name: "InputShaftSpeed",
      startBit: 8,
      bits: 16,
      scale: 0.25,
      min: 0,
      max: 8000,
      unit: "rpm",
      value: (s) => (s.gear ? s.engineRpm : 0),
    },
    temperature("GearboxTemperature", 24, (s) => s.oilCelsius - 6),
    ...PROTECTION,
  ]),
  message("AcceleratorPedal", 0x1b8, 20, "ECM", "What the driver asks for; two tracks that must agree.", [
    {
      name: "PedalTrack1",
      startBit: 0,
      bits: 10,
      scale: 0.1,
      min: 0,
      max: 100,
      unit: "%",
      value: (s) => s.throttlePercent,
    },
    {
      name: "PedalTrack2",
      startBit: 16,
      bits: 10,
      scale: 0.1,
      min: 0,
      max: 50,
      unit: "%",
      value: (s) => s.throttlePercent / 2,
    },
    ...PROTECTION,
  ]),
  message("EngineTemperatures", 0x300, 100, "ECM", "Temperatures; the engine starts cold.", [
    temperature("CoolantTemperature", 0, (s) => s.coolantCelsius),
    temperature("OilTemperature", 8, (s) => s.oilCelsius),
    temperature("IntakeAirTemperature", 16, (s) => s.ambientCelsius + 8),
    {
      name: "OilPressure",
      startBit: 24,
      bits: 8,
      scale: 0.05,
      min: 0,
      max: 12,
      unit: "bar",
      value: (s) => 1.2 + s.engineRpm / 1500,
    },
  ]),
  message("FuelStatus", 0x400, 500, "ECM", "Tank and consumption.", [
    { name: "FuelLevel", startBit: 0, bits: 8, scale: 0.5, min: 0, max: 100, unit: "%", value: (s) => s.fuelPercent },
    {
      name: "FuelRate",
      startBit: 8,
      bits: 16,
      scale: 0.01,
      min: 0,
      max: 100,
      unit: "l/h",
      value: (s) => 0.7 + Math.max(0, s.torqueNm) * s.engineRpm * 0.00004,
    },
  ]),
  message("Battery", 0x420, 500, "BCM", "12 V supply.", [
    {
      name: "BatteryVoltage",
      startBit: 0,
      bits: 16,
      scale: 0.001,
      min: 0,
      max: 20,
      unit: "V",
      value: (s) => s.batteryVolts,
    },
    {
      name: "BatteryCurrent",
      startBit: 16,
      bits: 16,
      signed: true,
      scale: 0.1,
      min: -500,
      max: 500,
      unit: "A",
      value: (s) => 22 * Math.exp(-s.seconds / 90) + s.noise(s.seconds, 30),
    },
  ]),
];

const BODY = [
  message("CruiseControl", 0x260, 50, "ECM", "Cruise control, on during the long steady parts.", [
    flag("CruiseActive", 0, (s) => s.speedKmh > 75 && Math.abs(s.accelerationMs2) < 0.12),
    {
      name: "SetSpeed",
      startBit: 8,
      bits: 8,
      min: 0,
      max: 250,
      unit: "km/h",
      value: (s) => (s.speedKmh > 75 ? Math.round(s.speedKmh / 10) * 10 : 0),
    },
  ]),
  message("Lights", 0x270, 50, "BCM", "Lights and indicators.", [
    flag("LowBeam", 0, () => true),
    flag("BrakeLight", 1, (s) => s.brakeBar > 0),
    flag("IndicatorLeft", 2, (s) => s.steeringDegrees > 25 && s.seconds % 0.7 < 0.35),
    flag("IndicatorRight", 3, (s) => s.steeringDegrees < -25 && s.seconds % 0.7 < 0.35),
  ]),
  message("Climate", 0x320, 100, "BCM", "Air conditioning.", [
    temperature("CabinTemperature", 0, (s) => 21.5 - 7 * Math.exp(-s.seconds / 180)),
    temperature("SetTemperature", 8, () => 21),
    { name: "FanLevel", startBit: 16, bits: 4, min: 0, max: 7, value: (s) => 2 + 4 * Math.exp(-s.seconds / 120) },
  ]),
  message("Doors", 0x340, 100, "BCM", "Doors, locked once the car moves.", [
    flag("DriverDoorOpen", 0, (s) => s.seconds < 3),
    flag("DoorsLocked", 1, (s) => s.odometerKm > 48211.02),
    flag("SeatBeltDriver", 2, (s) => s.seconds > 6),
  ]),
  message("Odometer", 0x500, 1000, "BCM", "Distance.", [
    {
      name: "OdometerTotal",
      startBit: 0,
      bits: 32,
      scale: 0.01,
      min: 0,
      max: 999999,
      unit: "km",
      value: (s) => s.odometerKm,
    },
    {
      name: "TripDistance",
      startBit: 32,
      bits: 24,
      scale: 0.01,
      min: 0,
      max: 9999,
      unit: "km",
      value: (s) => s.odometerKm - 48211,
    },
  ]),
  message("Clock", 0x510, 1000, "BCM", "Time of day, UTC.", [
    {
      name: "Hours",
      startBit: 0,
      bits: 8,
      min: 0,
      max: 23,
      unit: "h",
      value: (s) => new Date(s.clockMs).getUTCHours(),
    },
    {
      name: "Minutes",
      startBit: 8,
      bits: 8,
      min: 0,
      max: 59,
      unit: "min",
      value: (s) => new Date(s.clockMs).getUTCMinutes(),
    },
    {
      name: "Seconds",
      startBit: 16,
      bits: 8,
      min: 0,
      max: 59,
      unit: "s",
      value: (s) => new Date(s.clockMs).getUTCSeconds(),
    },
  ]),
  message("Ambient", 0x520, 1000, "BCM", "Weather.", [
    temperature("AmbientTemperature", 0, (s) => s.ambientCelsius),
    {
      name: "AirPressure",
      startBit: 8,
      bits: 16,
      scale: 0.1,
      min: 800,
      max: 1100,
      unit: "hPa",
      value: (s) => 1013 + s.noise(s.seconds / 600, 31),
    },
    {
      name: "LightLevel",
      startBit: 24,
      bits: 16,
      min: 0,
      max: 60000,
      unit: "lx",
      value: (s) => 18000 + 6000 * s.noise(s.seconds / 40, 32),
    },
  ]),
];

/** A small car on 500 kbit/s: some 750 frames/s, an endless drive after a cold start. */
export const CAR: World<CarState> = {
  bitrate: 500_000,
  messages: [...CHASSIS, ...POWERTRAIN, ...BODY].sort((a, b) => a.arbitrationId - b.arbitrationId),
  tell: tellCarStory,
};
