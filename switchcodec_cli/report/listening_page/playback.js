"use strict";

const FADE_SECONDS = 0.008; // of the cross-fade between versions
const START_DELAY = 0.03; // seconds between scheduling and the first sample

/** The gain of one version over time: constant, but for the last linear fade. */
class Voice {
  constructor(context, buffer, output) {
    this.gain = new GainNode(context, { gain: 0 });
    this.gain.connect(output);
    this.buffer = buffer;
    this.target = 0;
    this.fadeEnd = 0;
  }

  /** Fade to a gain; a fade that has not ended is finished first. Returns when the fade begins. */
  fadeTo(target, when) {
    const begin = Math.max(when, this.fadeEnd);
    this.gain.gain.setValueAtTime(this.target, begin);
    this.gain.gain.linearRampToValueAtTime(target, begin + FADE_SECONDS);
    this.target = target;
    this.fadeEnd = begin + FADE_SECONDS;
  }
}

/**
 * Plays all versions of a recording at the same time on one clock, of which one is heard.
 *
 * Works in an AudioContext and in an OfflineAudioContext. Buffers begin at the same sample, so a switch
 * changes gains only and keeps the position exactly.
 */
class VersionMixer {
  constructor(context, buffers, levels = buffers.map(() => 1)) {
    this.context = context;
    this.output = new GainNode(context);
    this.output.connect(context.destination);
    this.voices = buffers.map((buffer) => new Voice(context, buffer, this.output));
    this.levels = levels;
    this.current = 0;
  }

  /** Start all versions at a time of the context, from an offset in seconds, within a region if it loops. */
  start(when, offset, loop, current) {
    this.current = current;
    this.voices.forEach((voice, index) => {
      voice.source = new AudioBufferSourceNode(this.context, { buffer: voice.buffer });
      if (loop) Object.assign(voice.source, { loop: true, loopStart: loop.start, loopEnd: loop.end });
      voice.source.connect(voice.gain);
      voice.source.start(when, offset);
      if (index === current) voice.fadeTo(this.levels[index], when);
    });
  }

  /** Cross-fade to another version. */
  switchTo(index, when) {
    this.current = index;
    this.voices.forEach((voice, number) => {
      const target = number === index ? this.levels[number] : 0;
      if (voice.target !== target) voice.fadeTo(target, when);
    });
  }

  /** Change the gains of the versions. */
  setLevels(levels, when) {
    this.levels = levels;
    this.switchTo(this.current, when);
  }

  /** Fade out and stop. */
  stop(when) {
    this.output.gain.setValueAtTime(1, when);
    this.output.gain.linearRampToValueAtTime(0, when + FADE_SECONDS);
    for (const { source } of this.voices) source.stop(when + FADE_SECONDS);
  }
}

/** Position, loop and current version over a mixer in a live context. */
class Player {
  constructor(sampleRate) {
    this.sampleRate = sampleRate;
    this.buffers = [];
    this.current = 0;
    this.loop = null; // {start, end} in seconds
    this.offset = 0; // where playing began, or will begin
    this.mixer = null; // while playing
    this.onChange = () => {};
  }

  /** The context; browsers allow it to sound only after a key or click. */
  get context() {
    this.liveContext ??= new AudioContext({ sampleRate: this.sampleRate, latencyHint: "interactive" });
    return this.liveContext;
  }

  get playing() {
    return this.mixer !== null;
  }

  get duration() {
    return Math.min(...this.buffers.map((buffer) => buffer.duration));
  }

  /** Seconds from the beginning of the recording. */
  get position() {
    if (!this.playing) return this.offset;
    const position = this.offset + Math.max(0, this.context.currentTime - this.startTime);
    if (!this.loop || position < this.loop.end) return Math.min(position, this.duration);
    return this.loop.start + ((position - this.loop.start) % (this.loop.end - this.loop.start));
  }

  load(buffers, current = 0) {
    this.pause();
    Object.assign(this, { buffers, current, levels: buffers.map(() => 1), loop: null, offset: 0 });
    this.onChange();
  }

  play() {
    if (this.playing || !this.buffers.length) return;
    this.context.resume();
    const inLoop = this.loop && this.offset >= this.loop.start && this.offset < this.loop.end;
    if (this.loop && !inLoop) this.offset = this.loop.start;
    if (this.offset >= this.duration) this.offset = 0;
    this.mixer = new VersionMixer(this.context, this.buffers, this.levels);
    this.startTime = this.context.currentTime + START_DELAY;
    this.mixer.start(this.startTime, this.offset, this.loop, this.current);
    const mixer = this.mixer;
    mixer.voices[0].source.onended = () => mixer === this.mixer && this.rewind();
    this.onChange();
  }

  pause() {
    if (!this.playing) return;
    this.offset = this.position;
    this.mixer.stop(this.context.currentTime);
    this.mixer = null;
    this.onChange();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  rewind() {
    this.mixer = null;
    this.offset = 0;
    this.onChange();
  }

  /** Do something that the sources cannot do while they play. */
  whilePaused(change) {
    const { playing } = this;
    this.pause();
    change();
    if (playing) this.play();
    else this.onChange();
  }

  seek(position) {
    this.whilePaused(() => (this.offset = Math.min(Math.max(position, 0), this.duration)));
  }

  setLoop(loop) {
    this.whilePaused(() => (this.loop = loop));
  }

  switchTo(index) {
    if (index >= this.buffers.length) return;
    this.current = index;
    this.mixer?.switchTo(index, this.context.currentTime);
    this.onChange();
  }

  setLevels(levels) {
    this.levels = levels;
    this.mixer?.setLevels(levels, this.context.currentTime);
    this.onChange();
  }
}

/** The clips of the page, decoded. With `assets` they are in scripts beside the page, which register them. */
class ClipLibrary {
  constructor(context, assets) {
    Object.assign(this, { context, assets, waiting: new Map() });
  }

  async decode(name) {
    const text = this.assets ? await this.load(name) : document.getElementById(`clip-${name}`).textContent;
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return this.context.decodeAudioData(bytes.buffer);
  }

  /** Load a script; pages opened from disk may not fetch files. */
  load(name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      this.waiting.set(name, resolve);
      script.onload = () => script.remove();
      script.onerror = () => reject(new Error(`${this.assets}/${name}.js is missing`));
      script.src = `${this.assets}/${name}.js`;
      document.head.append(script);
    });
  }

  register(name, text) {
    this.waiting.get(name)?.(text);
    this.waiting.delete(name);
  }
}

const LOW_PASS_SECONDS = 0.01; // half the length of the filter

/**
 * The anchors of BS.1534-3: a low-pass filter that is flat up to the cut-off and down by more than 50 dB from
 * 500 Hz above it. A windowed sinc (Blackman) of 20 ms, without delay.
 */
async function lowPassed(buffer, cutOff) {
  const { sampleRate, numberOfChannels, length } = buffer;
  const half = Math.round(LOW_PASS_SECONDS * sampleRate);
  const taps = new Float32Array(2 * half + 1);
  const frequency = (2 * (cutOff + 250)) / sampleRate;
  for (let index = -half; index <= half; index++) {
    const phase = Math.PI * frequency * index;
    const sinc = index === 0 ? 1 : Math.sin(phase) / phase;
    const turn = (Math.PI * index) / (half + 1);
    taps[index + half] = frequency * sinc * (0.42 + 0.5 * Math.cos(turn) + 0.08 * Math.cos(2 * turn));
  }
  const context = new OfflineAudioContext(numberOfChannels, length + half, sampleRate);
  const response = new AudioBuffer({ length: taps.length, sampleRate });
  response.copyToChannel(taps, 0);
  const filter = new ConvolverNode(context, { buffer: response, disableNormalization: true });
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(filter).connect(context.destination);
  source.start();
  const delayed = await context.startRendering();
  const result = new AudioBuffer({ length, sampleRate, numberOfChannels });
  for (let channel = 0; channel < numberOfChannels; channel++) {
    result.copyToChannel(delayed.getChannelData(channel).subarray(half), channel);
  }
  return result;
}
