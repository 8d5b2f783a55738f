// Steps per second of processor time for the live figure's engine and for the plain reference; run in Node beside both.
// Prints { ours, plain }, each with plain steps, steps with sharpness at every step, and the largest relative difference of
// the sharpness from a converged one; the reference also with Lanczos' method stopped as soon as it may be.

import * as plain from "./browser_reference.js";
import { Network, Spectrum, initial, TOLERANCE } from "./network_engine.js";

const RATE = 0.2;
const xs = Array.from({ length: 20 }, (_, i) => -1 + (2 * i) / 19);
const ys = xs.map((x) => Math.cos(6 * Math.acos(x)));
const network = new Network([1, 30, 20, 1], xs, ys);
const START = 1000; // measured from here on, near where the edge is reached

function started() {
  const w = initial(network, 1);
  const slope = new Float64Array(network.dimension);
  for (let k = 0; k < START; k++) descend(w, slope);
  return { w, slope };
}

function descend(w, slope) {
  network.gradient(w, slope);
  for (let i = 0; i < w.length; i++) w[i] -= RATE * slope[i];
}

function layersOf(w) {
  return network.layers.map(({ before, after, weights, biases }) => ({
    W: Array.from({ length: after }, (_, j) => [...w.subarray(weights + j * before, weights + (j + 1) * before)]),
    b: [...w.subarray(biases, biases + after)],
  }));
}

function perSecond(step, count, repeats = 5) {
  for (let k = 0; k < count / 5; k++) step(); // compiled by then
  const rates = Array.from({ length: repeats }, () => {
    const before = process.cpuUsage();
    for (let k = 0; k < count; k++) step();
    const { user, system } = process.cpuUsage(before);
    return (1e6 * count) / (user + system);
  });
  return rates.sort((a, b) => a - b)[repeats >> 1];
}

function ours() {
  const { w, slope } = started();
  const steps = perSecond(() => descend(w, slope), 4000);
  const again = started();
  const spectrum = new Spectrum(network.dimension, 2);
  const measure = (one, tolerance) => one.update((v, out) => network.hessianProduct(again.w, v, out), tolerance);
  const withSharpness = () => {
    network.gradient(again.w, again.slope);
    measure(spectrum, TOLERANCE);
    for (let i = 0; i < again.w.length; i++) again.w[i] -= RATE * again.slope[i];
  };
  const tracked = perSecond(withSharpness, 800);
  let error = 0;
  for (let k = 0; k < 400; k++) {
    withSharpness();
    network.gradient(again.w, again.slope);
    measure(spectrum, TOLERANCE);
    const converged = new Spectrum(network.dimension, 3);
    measure(converged, 1e-6);
    error = Math.max(error, ...[0, 1].map((i) => Math.abs(spectrum.values[i] / converged.values[i] - 1)));
  }
  return { steps, tracked, error };
}

function reference() {
  let layers = layersOf(started().w);
  const step = () => {
    const { slopes } = plain.gradient(layers, xs, ys);
    layers = layers.map(({ W, b }, l) => ({
      W: W.map((row, j) => row.map((w, i) => w - RATE * slopes[l].W[j][i])),
      b: b.map((w, j) => w - RATE * slopes[l].b[j]),
    }));
  };
  const steps = perSecond(step, 1000);
  const following = (options) => () => {
    plain.sharpness(layers, xs, ys, options);
    step();
  };
  const tracked = perSecond(following({}), 30, 3);
  const stopped = perSecond(following({ tolerance: 1e-3 }), 60, 3);
  const w = Float64Array.from(plain.flat(layers));
  network.gradient(w, new Float64Array(network.dimension));
  const converged = new Spectrum(network.dimension, 3);
  converged.update((v, out) => network.hessianProduct(w, v, out), 1e-6);
  const error = Math.abs(plain.sharpness(layers, xs, ys, {}) / converged.values[0] - 1);
  return { steps, tracked, stopped, error };
}

console.log(JSON.stringify({ ours: ours(), plain: reference() }));
