// SPDX-License-Identifier: Apache-2.0
// Sends sound by WebRTC, to another connection of the same program or to Janus, through the relay of benchmarks/real/webrtc.py, which serves this
// script to a browser. In Node: node webrtc_pair.js URL, with WRTC naming the module @roamhq/wrtc.
"use strict";
const node = typeof process !== "undefined";
const base = node ? process.argv[2] : "";
const wrtc = node ? require(process.env.WRTC) : globalThis;

async function tell(path, value = {}) {
  return (await fetch(base + path, { method: "POST", body: JSON.stringify(value) })).json();
}

function sound() {
  if (!node) {
    const context = new AudioContext(), tone = context.createOscillator(), end = context.createMediaStreamDestination();
    tone.connect(end);
    tone.start();
    return end.stream.getAudioTracks()[0];
  }
  const source = new wrtc.nonstandard.RTCAudioSource();
  let frame = 0;
  setInterval(() => {
    const samples = Int16Array.from({ length: 480 }, (_, i) => 8000 * Math.sin((2 * Math.PI * 440 * (frame * 480 + i)) / 48000));
    source.onData({ samples, sampleRate: 48000, bitsPerSample: 16, channelCount: 1, numberOfFrames: 480 });
    frame++;
  }, 10);
  return source.createTrack();
}

const withoutCandidates = (sdp) => sdp.replace(/^a=candidate.*\r\n/gm, "");
// Without congestion control: its probes are padding, which is received, and never reaches a jitter buffer.
const withoutProbes = (sdp) => sdp.replace(/^a=(extmap:.*transport-wide-cc|extmap:.*abs-send-time|rtcp-fb:.*(transport-cc|goog-remb)).*\r\n/gm, "");
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// The answer's first IPv4 candidate, with the relay in its place; the sender learns no other address.
async function throughRelay(candidates) {
  const words = candidates.map((each) => each.split(" ")).find((each) => each[2].toLowerCase() === "udp" && !each[4].includes(":"));
  const relay = await tell("/relay", { host: words[4], port: Number(words[5]) });
  [words[4], words[5]] = [relay.host, String(relay.port)];
  return words.join(" ");
}

async function pair(sender) {
  const receiver = new wrtc.RTCPeerConnection(), candidates = [];
  const gathered = new Promise((done) => (receiver.onicecandidate = ({ candidate }) => (candidate ? candidates.push(candidate.candidate) : done())));
  receiver.ontrack = ({ streams, track }) => {
    if (node) return;
    const player = new Audio();
    player.srcObject = streams[0] ?? new MediaStream([track]);
    player.play();
  };
  await receiver.setRemoteDescription({ type: "offer", sdp: withoutCandidates(sender.localDescription.sdp) });
  await receiver.setLocalDescription(await receiver.createAnswer());
  await gathered;
  const answer = withoutCandidates(receiver.localDescription.sdp);
  return [answer, candidates, async () => ({ ...[...(await receiver.getStats()).values()].find((each) => each.type === "inbound-rtp") })];
}

async function janus(sender) {
  const answered = await tell("/janus", { sdp: withoutCandidates(sender.localDescription.sdp) });
  const candidates = [...answered.sdp.matchAll(/^a=(candidate.*)\r$/gm)].map((each) => each[1]);
  return [withoutCandidates(answered.sdp), candidates, async () => null];
}

async function main() {
  await tell("/loaded");
  const plan = await tell("/plan");
  const sender = new wrtc.RTCPeerConnection();
  const { sender: track } = sender.addTransceiver("audio", { direction: "sendonly" });
  const gathered = new Promise((done) => (sender.onicegatheringstatechange = () => sender.iceGatheringState === "complete" && done()));
  const offer = await sender.createOffer();
  await sender.setLocalDescription({ type: "offer", sdp: withoutProbes(offer.sdp) });
  await gathered;
  const [sdp, candidates, received] = await (plan.janus ? janus : pair)(sender);
  const connected = new Promise((done) => (sender.onconnectionstatechange = () => sender.connectionState === "connected" && done()));
  await sender.setRemoteDescription({ type: "answer", sdp });
  await sender.addIceCandidate({ candidate: await throughRelay(candidates), sdpMLineIndex: 0, sdpMid: sender.getTransceivers()[0].mid });
  await connected;
  await tell("/connected");
  await track.replaceTrack(sound());
  await wait(plan.seconds * 1000);
  await track.replaceTrack(null);
  await wait(2000);
  await tell("/done", { received: await received() });
}
main().catch((error) => tell("/failed", { why: String(error.stack ?? error) }));
