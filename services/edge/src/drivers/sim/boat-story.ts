import { makeNoise, type Noise } from "./noise.ts";

/** What the boat's messages tell, in the SI units of NMEA 2000: rad, rad/s, m, m/s, K. */
export interface BoatState {
  seconds: number;
  /** ms since 1970 UTC. */
  clockMs: number;
  headingRad: number;
  rateOfTurnRadS: number;
  pitchRad: number;
  rollRad: number;
  rudderRad: number;
  courseRad: number;
  speedOverGroundMs: number;
  speedThroughWaterMs: number;
  latitudeDegrees: number;
  longitudeDegrees: number;
  depthM: number;
  apparentWindMs: number;
  apparentWindRad: number;
  /** Port and starboard. */
  engineRpm: [number, number];
  seaKelvin: number;
  noise: Noise;
}

const TURN = 2 * Math.PI;

/** A figure of eight in the Kiel Fjord's mouth, one round in 20 minutes. */
const CENTRE = { latitude: 54.45, longitude: 10.25 };
const HALF_WIDTH_M = 600;
const HALF_HEIGHT_M = 400;
const ROUND_SECONDS = 1200;
const METRES_PER_DEGREE = 111_120;

const TRUE_WIND_MS = 7;
const TRUE_WIND_FROM_RAD = (240 / 360) * TURN;
const WAVE_SECONDS = 4.3;

/** Metres east and north of the centre. */
function place(seconds: number): { east: number; north: number } {
  const angle = (TURN * seconds) / ROUND_SECONDS;
  return { east: HALF_WIDTH_M * Math.sin(angle), north: HALF_HEIGHT_M * Math.sin(2 * angle) };
}

function courseRad(seconds: number): number {
  const a = place(seconds - 0.5);
  const b = place(seconds + 0.5);
  return turned(Math.atan2(b.east - a.east, b.north - a.north));
}

/** An angle as 0 to 2π. */
function turned(angle: number): number {
  return ((angle % TURN) + TURN) % TURN;
}

/** A motor boat that rounds a figure of eight in a light sea. */
export function tellBoatStory(startUs: number, seed: number): (seconds: number) => BoatState {
  const noise = makeNoise(seed);
  const state = { noise, engineRpm: [0, 0] } as unknown as BoatState;
  return (seconds) => {
    state.seconds = seconds;
    state.clockMs = startUs / 1000 + seconds * 1000;
    sail(state, noise);
    rock(state, noise);
    feelWind(state, noise);
    state.depthM = Math.max(
      2,
      11 + 5 * Math.sin(seconds / 190) + 1.5 * Math.sin(seconds / 37) + 0.1 * noise(seconds, 1),
    );
    state.seaKelvin = 287.4 + 0.3 * noise(seconds / 200, 2);
    return state;
  };
}

function sail(state: BoatState, noise: Noise): void {
  const { seconds } = state;
  const { east, north } = place(seconds);
  state.latitudeDegrees = CENTRE.latitude + north / METRES_PER_DEGREE;
  state.longitudeDegrees = CENTRE.longitude + east / (METRES_PER_DEGREE * Math.cos((CENTRE.latitude / 360) * TURN));
  const before = place(seconds - 0.5);
  const after = place(seconds + 0.5);
  state.speedOverGroundMs = Math.hypot(after.east - before.east, after.north - before.north);
  state.speedThroughWaterMs = Math.max(0, state.speedOverGroundMs - 0.2 + 0.05 * noise(seconds, 3));
  state.courseRad = courseRad(seconds);
  const headingAt = (t: number): number =>
    courseRad(t) + 0.02 * Math.sin((TURN * t) / WAVE_SECONDS) + 0.005 * noise(t, 4);
  state.headingRad = turned(headingAt(seconds));
  // The difference of two angles near north must not jump by a whole turn.
  const change = headingAt(seconds + 0.1) - headingAt(seconds - 0.1);
  state.rateOfTurnRadS = Math.atan2(Math.sin(change), Math.cos(change)) / 0.2;
  state.rudderRad = Math.max(-0.6, Math.min(0.6, state.rateOfTurnRadS * 4));
  const rpm = 900 + state.speedOverGroundMs * 380;
  state.engineRpm[0] = rpm + 8 * noise(seconds, 5);
  state.engineRpm[1] = rpm + 8 * noise(seconds, 6);
}

function rock(state: BoatState, noise: Noise): void {
  const wave = (TURN * state.seconds) / WAVE_SECONDS;
  const swell = 0.7 + 0.3 * noise(state.seconds / 10, 7);
  state.rollRad = swell * 0.09 * Math.sin(wave);
  state.pitchRad = swell * 0.04 * Math.sin(wave * 1.3 + 1);
}

function feelWind(state: BoatState, noise: Noise): void {
  const gust = TRUE_WIND_MS * (1 + 0.2 * noise(state.seconds / 3, 8));
  const trueAngle = TRUE_WIND_FROM_RAD - state.headingRad;
  const ahead = gust * Math.cos(trueAngle) + state.speedThroughWaterMs;
  const abeam = gust * Math.sin(trueAngle);
  state.apparentWindMs = Math.hypot(ahead, abeam);
  state.apparentWindRad = turned(Math.atan2(abeam, ahead));
}
