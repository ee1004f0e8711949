/** Numbers by chance that a seed repeats: each call gives a whole number from 0 up to, not including, `below`. */
export function seeded(seed: number): (below: number) => number {
  let state = (seed * 2_654_435_761) % 2_147_483_647 || 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}
