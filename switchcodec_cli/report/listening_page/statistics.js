"use strict";

/** Uniform random numbers in [0, 1) from a seed of 32 bits (mulberry32). */
function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A copy of a list in random order (Fisher-Yates). */
function shuffled(list, random) {
  const copy = [...list];
  for (let last = copy.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [copy[last], copy[other]] = [copy[other], copy[last]];
  }
  return copy;
}

/** One-sided exact binomial test: probability of at least so many successes by guessing. */
function binomialPValue(successes, trials) {
  let logCoefficient = 0;
  let sum = 0;
  for (let count = 0; count <= trials; count++) {
    if (count >= successes) sum += Math.exp(logCoefficient - trials * Math.LN2);
    logCoefficient += Math.log((trials - count) / (count + 1));
  }
  return Math.min(1, sum);
}

/** Two-sided exact sign test; ties are not counted. */
function signTestPValue(first, second) {
  return Math.min(1, 2 * binomialPValue(Math.max(first, second), first + second));
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Share of items that satisfy a condition. */
function share(list, condition) {
  return list.length ? list.filter(condition).length / list.length : 0;
}

function formatPValue(value) {
  return value < 0.0001 ? "p < 0.0001" : `p = ${value.toFixed(4)}`;
}
