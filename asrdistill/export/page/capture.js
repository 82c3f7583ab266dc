// Hands what the microphone gives on to the page, in pieces of a twentieth of a second.
class Capture extends AudioWorkletProcessor {
  held = new Float32Array(Math.round(sampleRate / 20));
  count = 0;

  process([channels]) {
    if (!channels.length) return true;
    for (let i = 0; i < channels[0].length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.held[this.count++] = sum / channels.length;
      if (this.count === this.held.length) {
        this.port.postMessage(this.held.slice());
        this.count = 0;
      }
    }
    return true;
  }
}
registerProcessor("capture", Capture);
