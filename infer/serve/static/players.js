// Play frames and sound in time: pictures on a canvas, or one video.

import { RATE } from "./sound.js";

const SPARE = 0.15; // seconds between the arrival of a frame and its time, at the start
const PIECE = 0.04; // seconds of sound that are scheduled at once
const MEASURED = 100; // frames whose offsets are kept
const AHEAD = 0.12; // seconds of sound that are scheduled before they are heard

// Pictures that are drawn when their sound is heard. Sound is scheduled only as far as
// pictures have come: where they are late, both wait.
export class PicturePlayer {
  constructor(canvas, context, timeline, gain) {
    this.canvas = canvas;
    this.context = context;
    this.timeline = timeline;
    this.gain = gain;
    this.frames = []; // {time, bitmap}
    this.pieces = []; // {start, time}: sound of the session, on the context's clock
    this.offsets = [];
    this.drawn = 0;
    this.cursor = null; // time of the session up to which sound is scheduled
    this.end = 0; // time of the context at which it ends
    this.decoding = Promise.resolve();
    this.isOpen = true;
  }

  start({ fps, width, height }) {
    this.seconds = 1 / fps;
    this.canvas.width = width;
    this.canvas.height = height;
    requestAnimationFrame(() => this.draw());
    this.timer = setInterval(() => this.schedule(), 20);
  }

  // Take a message: number (4 bytes) and time (8) of a frame, and its JPEG.
  push(data) {
    const time = new DataView(data).getFloat64(4, true);
    const blob = new Blob([new Uint8Array(data, 12)], { type: "image/jpeg" });
    // In order, however long each takes.
    this.decoding = this.decoding.then(async () => {
      this.frames.push({ time, bitmap: await createImageBitmap(blob) });
    });
  }

  schedule() {
    const last = this.frames.at(-1);
    if (!last) return;
    const now = this.context.currentTime;
    if (this.cursor === null) {
      this.cursor = this.frames[0].time;
      this.end = now + SPARE;
    }
    while (this.cursor + PIECE <= last.time + this.seconds + 1e-6 && this.end < now + AHEAD) {
      // A late piece begins at once, and all that follows is later.
      this.end = Math.max(this.end, now + 0.01);
      this.play(this.cursor, this.end);
      this.cursor += PIECE;
      this.end += PIECE;
    }
  }

  play(time, start) {
    const count = Math.round(PIECE * RATE);
    const buffer = this.context.createBuffer(1, count, RATE);
    buffer.copyToChannel(this.timeline.read(time, count), 0);
    const node = this.context.createBufferSource();
    node.buffer = buffer;
    node.connect(this.gain);
    node.start(start);
    this.pieces.push({ start, time });
    this.timeline.forget(time - 2);
  }

  // Return the time of the session that is heard now.
  heard() {
    const latency = this.context.outputLatency || 0;
    const now = this.context.currentTime - latency;
    while (this.pieces.length > 1 && this.pieces[1].start <= now) this.pieces.shift();
    const piece = this.pieces[0];
    if (!piece || piece.start > now) return null;
    return piece.time + Math.min(now - piece.start, PIECE);
  }

  draw() {
    if (!this.isOpen) return;
    const time = this.heard();
    let frame = null;
    while (time !== null && this.frames.length && this.frames[0].time <= time) {
      frame?.bitmap.close();
      frame = this.frames.shift();
      this.drawn++;
    }
    if (frame) {
      this.canvas.getContext("2d").drawImage(frame.bitmap, 0, 0);
      frame.bitmap.close();
      keep(this.offsets, time - frame.time);
    }
    requestAnimationFrame(() => this.draw());
  }

  // Return the time of the session that is shown.
  get shown() {
    return this.heard();
  }

  get isDone() {
    return this.frames.length === 0;
  }

  async close() {
    await this.decoding;
    // The last frame stays for its time.
    await waitFor(() => this.isDone, 10);
    this.isOpen = false;
    clearInterval(this.timer);
  }
}

// Fragments of one video with its sound, which the browser keeps in time.
export class VideoPlayer {
  constructor(video) {
    this.video = video;
    this.fragments = [];
    this.offsets = [];
    this.drawn = 0;
  }

  async start({ mime }) {
    if (!window.MediaSource?.isTypeSupported(mime)) {
      throw new Error(`this browser does not play ${mime}: choose JPEG pictures`);
    }
    this.media = new MediaSource();
    this.video.src = URL.createObjectURL(this.media);
    const opened = new Promise((resolve) => {
      this.media.addEventListener("sourceopen", resolve, { once: true });
    });
    await opened;
    this.buffer = this.media.addSourceBuffer(mime);
    this.buffer.addEventListener("updateend", () => this.append());
    this.append();
    this.watch();
    // Playing starts by itself as soon as there is a frame.
    this.video.play().catch(() => {});
  }

  push(data) {
    this.fragments.push(new Uint8Array(data));
    this.append();
  }

  append() {
    if (!this.buffer || this.buffer.updating) return;
    const start = this.video.currentTime - 20;
    if (this.fragments.length) {
      const size = this.fragments.reduce((sum, item) => sum + item.length, 0);
      const joined = new Uint8Array(size);
      let at = 0;
      for (const fragment of this.fragments.splice(0)) {
        joined.set(fragment, at);
        at += fragment.length;
      }
      this.buffer.appendBuffer(joined);
    } else if (this.buffer.buffered.length && this.buffer.buffered.start(0) < start - 10) {
      // Long sessions do not fill memory.
      this.buffer.remove(0, start);
    }
  }

  watch() {
    this.video.requestVideoFrameCallback?.((now, { mediaTime }) => {
      this.drawn++;
      keep(this.offsets, this.video.currentTime - mediaTime);
      this.watch();
    });
  }

  get shown() {
    return this.video.currentTime;
  }

  get isDone() {
    return this.video.ended || this.video.paused;
  }

  async close() {
    await waitFor(() => this.buffer && !this.buffer.updating && !this.fragments.length, 5);
    if (this.media?.readyState === "open") this.media.endOfStream();
    await waitFor(() => this.isDone, 10);
  }
}

// Add an offset to a list of the latest ones.
function keep(offsets, offset) {
  offsets.push(offset);
  if (offsets.length > MEASURED) offsets.shift();
}

async function waitFor(condition, seconds) {
  const end = performance.now() + 1000 * seconds;
  while (!condition() && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
