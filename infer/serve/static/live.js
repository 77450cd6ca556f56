// The page: a microphone or a file goes to the service, and its frames come back.

import { PicturePlayer, VideoPlayer } from "./players.js";
import { RATE, Timeline, decode, toIntegers } from "./sound.js";

const CHUNK = 640; // samples, 40 ms
const MOST_BEHIND = 2 ** 20; // bytes that may wait in the socket
const element = (id) => document.getElementById(id);

let session = null;

class Session {
  async start() {
    const isFile = new FormData(element("controls")).get("source") === "file";
    this.file = isFile ? element("file").files[0] : null;
    if (isFile && !this.file) throw new Error("choose a sound file first");
    // One clock for the sound that is sent and the sound that is heard.
    this.context = new AudioContext({ sampleRate: RATE });
    await this.context.resume();
    this.gain = this.context.createGain();
    this.gain.connect(this.context.destination);
    this.setAudible();
    this.timeline = new Timeline();
    this.samples = this.file ? await decode(this.context, this.file) : null;
    this.portrait = await this.upload();
    await this.connect();
    await (this.samples ? this.sendFile() : this.sendMicrophone());
  }

  setAudible() {
    this.gain.gain.value = element("audible").checked ? 1 : 0;
    element("video").muted = !element("audible").checked;
  }

  // Upload the portrait that was chosen, and return its id.
  async upload() {
    const picture = element("portrait").files[0];
    if (!picture) return null;
    const body = new FormData();
    body.append("picture", picture);
    const token = element("token").value;
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const answer = await fetch("/v1/portraits", { method: "POST", body, headers });
    const values = await answer.json();
    if (!answer.ok) throw new Error(values.error);
    return values.id;
  }

  connect() {
    const address = new URL("/v1/live", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    const frames = element("frames").value;
    element("video").hidden = frames !== "mp4";
    element("canvas").hidden = frames === "mp4";
    this.player =
      frames === "mp4"
        ? new VideoPlayer(element("video"))
        : new PicturePlayer(element("canvas"), this.context, this.timeline, this.gain);
    this.socket.onopen = () => {
      const token = element("token").value || null;
      const start = { type: "start", sound: "s16", frames, token, portrait: this.portrait };
      this.socket.send(JSON.stringify(start));
    };
    this.socket.onclose = () => this.closed();
    return new Promise((resolve, reject) => {
      this.ready = resolve;
      this.failed = reject;
      this.socket.onerror = () => reject(new Error("the service cannot be reached"));
      this.socket.onmessage = (event) => this.receive(event.data);
    });
  }

  receive(data) {
    if (typeof data !== "string") {
      this.player.push(data);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "ready") {
      this.startTime = performance.now();
      Promise.resolve(this.player.start(message)).then(this.ready, this.failed);
    } else if (message.type === "sound") {
      this.player.timeline?.place(message.time, message.sample);
    } else if (message.type === "error") {
      this.error = new Error(message.message);
      this.failed(this.error);
    }
  }

  send(samples) {
    if (this.hasEnded || this.socket.readyState !== WebSocket.OPEN) return;
    if (this.socket.bufferedAmount > MOST_BEHIND) {
      this.error = new Error("the service is slower than the sound: stopped");
      this.socket.close();
      return;
    }
    // A video carries its sound, and nothing would forget it here.
    this.player.timeline?.add(samples);
    this.socket.send(toIntegers(samples).buffer);
  }

  // Send a file as a microphone would.
  async sendFile() {
    const start = this.context.currentTime;
    for (let at = 0; at < this.samples.length && session === this; at += CHUNK) {
      const due = start + at / RATE - this.context.currentTime;
      if (due > 0) await new Promise((resolve) => setTimeout(resolve, 1000 * due));
      this.send(this.samples.subarray(at, at + CHUNK));
    }
    this.end();
  }

  async sendMicrophone() {
    if (!navigator.mediaDevices) {
      throw new Error("browsers give the microphone only over HTTPS or on the same machine");
    }
    const options = { echoCancellation: true, noiseSuppression: true };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: options });
    // A session may end while the browser asks for permission.
    if (this.hasEnded || this.socket.readyState !== WebSocket.OPEN) {
      this.stopMicrophone();
      return;
    }
    await this.context.audioWorklet.addModule("/static/worklet.js");
    const node = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    node.port.onmessage = (event) => this.send(event.data);
    this.context.createMediaStreamSource(this.stream).connect(node);
  }

  stopMicrophone() {
    this.stream?.getTracks().forEach((track) => track.stop());
  }

  // End the sound: the remaining frames still come.
  end() {
    this.stopMicrophone();
    this.hasEnded = true;
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: "end" }));
    }
  }

  async closed() {
    this.failed?.(this.error ?? new Error("the service has closed the session"));
    await this.player.close();
    finish(this, this.error);
  }
}

function show(state, text) {
  element("state").dataset.state = state;
  element("state").textContent = text;
}

function finish(ended, error) {
  if (session !== ended) return;
  session = null;
  update(ended);
  ended.end();
  ended.context?.close();
  element("start").disabled = false;
  element("stop").disabled = true;
  show(error ? "error" : "done", error ? error.message : "Ended");
}

function update(current) {
  const { player, startTime } = current;
  if (!player || !startTime) return;
  element("count").textContent = player.drawn;
  const offsets = player.offsets;
  if (!offsets.length) return;
  const mean = offsets.reduce((sum, value) => sum + value, 0) / offsets.length;
  element("offset").textContent = Math.round(1000 * mean);
  const seconds = (performance.now() - startTime) / 1000;
  if (player.shown !== null) element("delay").textContent = (seconds - player.shown).toFixed(2);
  current.history ??= [];
  current.history.push([performance.now(), player.drawn]);
  if (current.history.length > 5) current.history.shift();
  const [then, drawn] = current.history.at(-5) ?? current.history[0];
  const rate = (1000 * (player.drawn - drawn)) / (performance.now() - then);
  if (rate) element("rate").textContent = rate.toFixed(1);
}

element("controls").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (session) return;
  const started = new Session();
  session = started;
  element("start").disabled = true;
  element("stop").disabled = false;
  show("starting", "Connecting");
  try {
    await started.start();
  } catch (error) {
    started.stopMicrophone();
    started.error ??= error;
    if (started.socket?.readyState === WebSocket.OPEN) started.socket.close();
    finish(started, error);
  }
});

element("stop").addEventListener("click", () => session?.end());
element("audible").addEventListener("change", () => session?.setAudible());
for (const radio of document.querySelectorAll("input[name=source]")) {
  radio.addEventListener("change", () => {
    // A microphone's own sound is an echo.
    element("audible").checked = radio.value === "file";
  });
}
setInterval(() => {
  if (!session) return;
  update(session);
  if (session.player?.drawn) show("live", "Live");
}, 500);
