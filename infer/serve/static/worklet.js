// Sends a microphone's samples to the page, in chunks of 40 ms at 16 kHz.

const CHUNK = 640;

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunk = new Float32Array(CHUNK);
    this.size = 0;
  }

  process([input]) {
    for (const sample of input[0] ?? []) {
      this.chunk[this.size++] = sample;
      if (this.size === CHUNK) {
        this.port.postMessage(this.chunk);
        this.chunk = new Float32Array(CHUNK);
        this.size = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
