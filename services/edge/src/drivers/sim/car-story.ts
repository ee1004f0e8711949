import { makeNoise, type Noise } from "./noise.ts";

/** What the car's messages tell; units are those of the signals. */
export interface CarState {
  /** Seconds since the engine was started. */
  seconds: number;
  /** ms since 1970 UTC. */
  clockMs: number;
  speedKmh: number;
  accelerationMs2: number;
  gear: number;
  engineRpm: number;
  throttlePercent: number;
  torqueNm: number;
  brakeBar: number;
  steeringDegrees: number;
  steeringDegreesPerSecond: number;
  yawDegreesPerSecond: number;
  lateralMs2: number;
  odometerKm: number;
  coolantCelsius: number;
  oilCelsius: number;
  ambientCelsius: number;
  fuelPercent: number;
  batteryVolts: number;
  noise: Noise;
}

/** The drive, again and again: seconds, and the speed in km/h at the end of them. */
const DRIVE: readonly (readonly [seconds: number, speedKmh: number])[] = [
  [10, 0],
  [12, 50],
  [20, 48],
  [8, 0],
  [8, 0],
  [18, 80],
  [30, 82],
  [20, 121],
  [25, 118],
  [12, 60],
  [15, 58],
  [10, 0],
  [7, 0],
];
const DRIVE_SECONDS = DRIVE.reduce((sum, [seconds]) => sum + seconds, 0);

/** Distance driven by each tenth of a second of the drive, km. */
const STEPS_PER_SECOND = 10;
const DISTANCE_KM = distances();

/** km/h up to which each gear is used, and engine revolutions per minute for each km/h in it. */
const GEARS = [
  { upToKmh: 15, rpmPerKmh: 130 },
  { upToKmh: 32, rpmPerKmh: 75 },
  { upToKmh: 52, rpmPerKmh: 50 },
  { upToKmh: 75, rpmPerKmh: 36 },
  { upToKmh: 100, rpmPerKmh: 28 },
  { upToKmh: Infinity, rpmPerKmh: 22 },
] as const;
const IDLE_RPM = 800;

const FIRST_ODOMETER_KM = 48211;
const COLD_CELSIUS = 14;
const WARM_CELSIUS = 90;
const WHEELBASE_M = 2.65;
const STEERING_RATIO = 15;

/** Speed at a second of the drive; each section is an S-curve, so that nobody is jerked. */
function driveSpeedKmh(second: number): number {
  let at = second;
  let from = 0;
  for (const [seconds, to] of DRIVE) {
    if (at < seconds) {
      const part = at / seconds;
      return from + (to - from) * part * part * (3 - 2 * part);
    }
    at -= seconds;
    from = to;
  }
  return from;
}

function distances(): Float64Array {
  const km = new Float64Array(DRIVE_SECONDS * STEPS_PER_SECOND + 1);
  for (let i = 1; i < km.length; i++) {
    km[i] = km[i - 1]! + driveSpeedKmh((i - 0.5) / STEPS_PER_SECOND) / 3600 / STEPS_PER_SECOND;
  }
  return km;
}

function distanceKm(seconds: number): number {
  const drives = Math.floor(seconds / DRIVE_SECONDS);
  const step = Math.floor((seconds % DRIVE_SECONDS) * STEPS_PER_SECOND);
  return drives * DISTANCE_KM[DISTANCE_KM.length - 1]! + DISTANCE_KM[step]!;
}

/** A cold start, then town, country road and motorway for ever. */
export function tellCarStory(startUs: number, seed: number): (seconds: number) => CarState {
  const noise = makeNoise(seed);
  const state = { noise } as CarState;
  return (seconds) => {
    state.seconds = seconds;
    state.clockMs = startUs / 1000 + seconds * 1000;
    drive(state, seconds % DRIVE_SECONDS);
    steer(state, noise);
    warmUp(state, noise);
    state.odometerKm = FIRST_ODOMETER_KM + distanceKm(seconds);
    state.fuelPercent = Math.max(4, 63 - (state.odometerKm - FIRST_ODOMETER_KM) * 0.11 + 0.2 * noise(seconds, 3));
    return state;
  };
}

function drive(state: CarState, second: number): void {
  const { seconds, noise } = state;
  const speed = driveSpeedKmh(second);
  const moving = speed > 0.5;
  const acceleration = (driveSpeedKmh(second + 0.05) - driveSpeedKmh(Math.max(0, second - 0.05))) / 3.6 / 0.1;
  const gear = GEARS.findIndex(({ upToKmh }) => speed < upToKmh);
  state.speedKmh = Math.max(0, moving ? speed + 0.3 * noise(seconds, 0) : 0);
  state.accelerationMs2 = acceleration + (moving ? 0.05 * noise(seconds, 1) : 0);
  state.gear = moving ? gear + 1 : 0;
  state.engineRpm = Math.max(IDLE_RPM, state.speedKmh * GEARS[gear]!.rpmPerKmh) + 12 * noise(seconds, 2);
  const braking = acceleration < -0.3;
  state.brakeBar = braking ? -acceleration * 12 : moving ? 0 : 8;
  state.throttlePercent = braking || !moving ? 0 : Math.max(0, 6 + acceleration * 20 + speed * 0.15);
  state.torqueNm = braking ? -25 : 18 + state.throttlePercent * 2.3;
}

function steer(state: CarState, noise: Noise): void {
  const { seconds, speedKmh } = state;
  const wheelAt = (t: number): number => (90 * noise(t * 0.3, 4)) / (1 + speedKmh / 12);
  state.steeringDegrees = wheelAt(seconds);
  state.steeringDegreesPerSecond = (wheelAt(seconds + 0.01) - wheelAt(seconds)) / 0.01;
  const speedMs = speedKmh / 3.6;
  const yaw = (speedMs * Math.tan((state.steeringDegrees / STEERING_RATIO / 180) * Math.PI)) / WHEELBASE_M;
  state.yawDegreesPerSecond = (yaw / Math.PI) * 180;
  state.lateralMs2 = yaw * speedMs;
}

function warmUp(state: CarState, noise: Noise): void {
  const { seconds } = state;
  const rise = WARM_CELSIUS - COLD_CELSIUS;
  state.ambientCelsius = COLD_CELSIUS + 0.5 * noise(seconds / 60, 5);
  state.coolantCelsius = COLD_CELSIUS + rise * (1 - Math.exp(-seconds / 240)) + noise(seconds / 20, 6);
  state.oilCelsius = COLD_CELSIUS + (rise + 8) * (1 - Math.exp(-seconds / 420)) + noise(seconds / 30, 7);
  state.batteryVolts = 14.2 - 0.8 * Math.exp(-seconds / 15) + 0.05 * noise(seconds, 8);
}
