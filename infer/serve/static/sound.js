// The sound that was sent, on the clock of the session.

export const RATE = 16000; // Hz

export class Timeline {
  constructor() {
    this.chunks = []; // {first, samples}, in order
    this.sent = 0;
    this.places = []; // {time, sample}: from there on, samples follow each other
  }

  add(samples) {
    this.chunks.push({ first: this.sent, samples });
    this.sent += samples.length;
  }

  place(time, sample) {
    this.places.push({ time, sample });
  }

  // Return `count` samples from a time of the session on; silence where none was sent.
  read(time, count) {
    const result = new Float32Array(count);
    this.places.forEach((place, index) => {
      const next = this.places[index + 1];
      const end = next ? next.sample : this.sent;
      // Sample `first` of the client is the first of the result.
      const first = place.sample + Math.round((time - place.time) * RATE);
      this.copy(result, first, Math.max(place.sample, first), Math.min(end, first + count));
    });
    return result;
  }

  copy(result, origin, start, end) {
    for (const chunk of this.chunks) {
      const from = Math.max(start, chunk.first);
      const to = Math.min(end, chunk.first + chunk.samples.length);
      if (from < to) {
        result.set(chunk.samples.subarray(from - chunk.first, to - chunk.first), from - origin);
      }
    }
  }

  // Forget sound before a time of the session.
  forget(time) {
    const place = this.places.findLast((item) => item.time <= time);
    if (!place) return;
    const sample = place.sample + Math.round((time - place.time) * RATE);
    this.chunks = this.chunks.filter((chunk) => chunk.first + chunk.samples.length > sample);
    this.places = this.places.filter((item) => item.time >= place.time);
  }
}

// Return the samples of a sound file, mixed to one channel.
export async function decode(context, file) {
  const buffer = await context.decodeAudioData(await file.arrayBuffer());
  const mono = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let index = 0; index < mono.length; index++) {
      mono[index] += samples[index] / buffer.numberOfChannels;
    }
  }
  return mono;
}

// Return samples as 16-bit integers.
export function toIntegers(samples) {
  return Int16Array.from(samples, (value) => Math.max(-1, Math.min(1, value)) * 32767);
}
